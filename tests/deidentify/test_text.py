import re
import time
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from pipelines.deidentify.deny import deny_list, is_placeholder
from pipelines.deidentify.identifiers import deny_list_from, identifiers_in
from pipelines.deidentify.profile import Profile
from pipelines.deidentify.text import clean_text, keep_known_words, remove_denied
from tests.deidentify.conftest import mammogram

DENY = deny_list(
    names=["Kowalewska^Jadwiga Müller", "Roe^Al"],
    places=["Klinikum Glimmerthal, Breast Center"],
    ids=["MRN-0098231", "77-881"],
    dates=["19480229"],
)


@pytest.mark.parametrize(
    "text",
    [
        "KOWALEWSKA", "Jadwiga", "J A D W I G A", "J.A.D.W.I.G.A", "JadwigaKowalewska",
        "KowalewskaJadwiga", "Muller", "Mueller", "MÜLLER", "Al", "Glimmerthal", "MRN-0098231", "MRN0098231",
        "mrn 0098231", "77881", "77 881", "02/29/1948", "29.02.1948", "29.2.48", "1948-02-29", "19480229", "29021948",
        "February 29, 1948", "29 Feb 1948", "29th february, 1948",
    ],
)  # fmt: skip
def test_what_the_header_names_goes(text: str) -> None:
    cleaned, count = clean_text(f"seen with {text} today", DENY)
    assert text not in cleaned
    assert count >= 1
    assert cleaned.startswith("seen with <")
    assert cleaned.endswith("> today")


NAMES = st.text(st.characters(categories=["Lu", "Ll"], max_codepoint=0x17F), min_size=3, max_size=12)
FILLER = st.sampled_from(
    ["mass in the", "seen by", "R MLO,", "(", ") and", "/", "BI-RADS 2.", "compared to", ";", "\n"]
)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(NAMES, min_size=1, max_size=3),
    st.lists(FILLER, min_size=2, max_size=5),
    st.sampled_from("ulct"),
    st.data(),
)
def test_names_of_the_deny_list_never_survive(
    names: list[str], filler: list[str], case: str, data: st.DataObject
) -> None:
    deny = deny_list(names=["^".join(names)])
    spelled = [{"u": n.upper(), "l": n.lower(), "c": n.capitalize(), "t": n}[case] for n in names]
    words = filler + [n for n in spelled if n.casefold() in {m.casefold() for m in names}]
    words = data.draw(st.permutations(words))
    for clean in (clean_text, remove_denied, keep_known_words):
        cleaned, _ = clean(" ".join(words), deny)
        left = cleaned.replace("NAME", "").casefold().split()
        known = " ".join(filler).casefold().split()
        for name in names:
            if not is_placeholder(name):
                assert name.casefold() not in left or name.casefold() in known, (name, cleaned)


@pytest.mark.parametrize(
    "text",
    [
        "3/5/2018", "03-05-2018", "5.3.18", "2018-03-05", "2018/3/5", "20170509", "March 3, 2018", "3 March 2018",
        "3rd of March 2018", "Mar 2018", "03-MAR-2018", "03MAR2018", "March 3rd", "3. März 2018", "05/2018",
        "2018-03-05T10:11:12", "20170509101112",
    ],
)  # fmt: skip
def test_dates_in_any_notation_go(text: str) -> None:
    assert clean_text(f"compared to {text}.")[0] == "compared to <DATE>."


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("Call (555) 123-4567.", "Call <PHONE>."),
        ("pager 4471", "pager <PHONE>"),
        ("tel: +49 30 1234567", "tel: <PHONE>"),
        ("write to j.doe@hosp.example.org", "write to <EMAIL>"),
        ("MRN: 48213", "MRN: <ID>"),
        ("Accession #A8871-22 seen", "Accession #<ID> seen"),
        ("SSN 078-05-1120", "SSN <ID>"),
        ("study 1.2.840.113619.2.66.2158408118.16050", "study <ID>"),
        ("Dr. Watson-Holmes called", "Dr. <NAME> called"),
        ("Mrs. de Witt came", "Mrs. <NAME> came"),
        ("Electronically signed by: JONES, MARY MD", "Electronically signed by: <NAME>"),
        ("read by Maria Lopez", "read by <NAME>"),
        ("lives at 12 Elm Street", "lives at <LOCATION>"),
        ("DOE^JOHN", "<NAME>"),
    ],
)
def test_patterns_keep_their_cue(text: str, cleaned: str) -> None:
    assert clean_text(text)[0] == cleaned


@pytest.mark.parametrize(
    "text",
    [
        "Scattered fibroglandular densities. BI-RADS 4, ACR B.",
        "Cooper's ligaments at 5 o'clock, 2.5 cm from the nipple.",
        "Graves disease, Parkinson disease, Paget's disease.", "Hologic Selenia Dimensions, R MLO and L CC views.",
        "BI-RADS category 3 may be considered.", "Two masses, 3/5 slices, 12 x 14 mm.",
        "The breasts are heterogeneously dense.",
        "Stable since prior exam; routine follow-up in 1 year.",
        "No suspicious calcifications. Impression: negative.",
    ],
)  # fmt: skip
def test_clinical_words_stay(text: str) -> None:
    assert clean_text(text, DENY, unknown_names=True) == (text, 0)


def test_unknown_capitalized_words_count_as_names() -> None:
    cleaned, count = clean_text("Discussed with Xandria Blythewick; Mass stable.", unknown_names=True)
    assert (cleaned, count) == ("Discussed with <NAME>; Mass stable.", 1)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("MAMMO SCREENING BILATERAL 2D", "MAMMO SCREENING BILATERAL 2D"),
        ("MAMMO SCREENING (KOWALEWSKA)", "MAMMO SCREENING"),
        ("XR CHEST for Douglas Davidson", "XR CHEST for"),
        ("Xqzzt", ""),
        ("R MLO 03/05/2018", "R MLO"),
    ],
)
def test_descriptions_keep_only_known_words(text: str, kept: str) -> None:
    assert keep_known_words(text, DENY)[0] == kept


def test_deny_list_of_a_header_reads_nested_names(profile: Profile) -> None:
    dataset = mammogram()
    dataset.RequestAttributesSequence = [Dataset()]
    dataset.RequestAttributesSequence[0].RequestingPhysician = "Zwettler^Bruno"
    deny = deny_list_from(identifiers_in(dataset, profile))
    for word in ("zwettler", "Oberrauch", "jadwiga", "MRN0098231", "Glimmerthal", "29.02.1948"):
        assert remove_denied(word, deny)[1] == 1, word
    assert remove_denied("breast", deny)[1] == 0


def test_no_model_is_loaded_and_nothing_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    from pipelines.deidentify import text

    def refuse(*_: object) -> None:
        raise AssertionError("network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    text._analyzer.cache_clear()
    assert clean_text("see www.example.org or a.b@c.org")[1] == 2


def test_fast_enough_for_headers() -> None:
    texts = ["MAMMO SCREENING BILATERAL 2D", "Senographe Essential VERSION ADS_54.10", "Mass at 5 o'clock"] * 100
    clean_text(texts[0], DENY)
    start = time.process_time()
    for text in texts:
        clean_text(text, DENY)
    assert len(texts) / (time.process_time() - start) > 500


NOTATIONS = (
    "%Y-%m-%d", "%Y/%m/%d", "%Y%m%d", "%d.%m.%Y", "%d.%m.%y", "%B %d, %Y", "%b %d, %Y", "%d %B %Y", "%d-%b-%Y",
    "%d%b%Y", "%A, %B %d, %Y",
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.dates(date(1951, 1, 1), date(2049, 12, 31)), st.sampled_from(NOTATIONS), st.integers(1, 3650))
def test_dates_move_in_their_notation(day: date, notation: str, days: int) -> None:
    assume(day.month != 5 or "%b" not in notation.lower())  # May is written alike in full and in short
    new = (day - timedelta(days)).strftime(notation)
    cleaned, count = clean_text(f"compared with {day.strftime(notation)} today", days=days)
    assert count == 1
    unpadded = [re.sub(r"(?<!\d)0(?=\d)", "", text) for text in (cleaned, f"compared with {new} today")]
    assert unpadded[0] == unpadded[1]  # of 10 January nothing tells whether the 9th has a zero


@pytest.mark.parametrize(
    ("text", "moved"),
    [
        ("March 3rd, 2018", "January 2nd, 2018"), ("3rd of March 2018", "2nd of January 2018"),
        ("Mar '18", "Jan '18"),
        ("3. März 2018", "2. Januar 2018"), ("3 mars 2018", "2 janvier 2018"),
        ("3 de marzo de 2018", "2 de enero de 2018"),
        ("3/25/18", "1/24/18"), ("25/03/2018", "24/01/2018"), ("05/2018", "03/2018"), ("MAR 2018", "JAN 2018"),
        ("2018-03-05T10:11:12", "2018-01-04T10:11:12"), ("3/25/2018 and 3/4/2018", "1/24/2018 and 1/3/2018"),
        ("in 2015", "in 2015"), ("DOB March 3, 1950", "DOB <DATE>"), ("born 25.03.1950", "born <DATE>"),
        ("March 3rd", "<DATE>"),
        ("3/4/2018", "<DATE>"), ("31.02.2018", "<DATE>"), ("29 Feb 1948", "<DATE>"),
        ("Monday, March 5, 2018", "Thursday, January 4, 2018"),
    ],
)  # fmt: skip
def test_dates_that_move_and_that_cannot(text: str, moved: str) -> None:
    assert clean_text(text, DENY, days=60)[0] == moved


def test_dates_stay_under_full_dates_but_for_birth_dates() -> None:
    assert clean_text("on 3/25/2018, born 29.02.1948", DENY, days=0)[0] == "on 3/25/2018, born <DATE>"


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("A 93-year-old woman", "An over 89-year-old woman"), ("93 y/o", "over 89 y/o"), ("aged 91", "aged over 89"),
        ("ninety-three years old", "over 89 years old"), ("62-year-old", "62-year-old"), ("age 89", "age 89"),
        ("93 mm", "93 mm"), ("101 years of age", "over 89 years of age"),
    ],
)  # fmt: skip
def test_high_ages_are_capped(text: str, cleaned: str) -> None:
    assert clean_text(text, oldest=89)[0] == cleaned


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("Dr. Bird called Mrs. Young.", "Dr. <NAME> called Mrs. <NAME>."),
        ("Seen with Grace Long today.", "Seen with <NAME> today."),
        ("Radiologist: Marsh, Joy", "Radiologist: <NAME>"), ("seen by dr smythe", "seen by dr <NAME>"),
        ("Transcribed 1/5/2018 by jsmythe", "Transcribed <DATE> by <NAME>"),
        ("J. Smythe, MD, agrees", "<NAME>, MD, agrees"),
        ("Tech: JS. R MLO", "Tech: <NAME>. R MLO"),
        ("Discussed with Smythe and Hill.", "Discussed with <NAME> and <NAME>."),
        ("cc: Anne-Marie Smythe-Jones", "cc: <NAME>"), ("Dr. van der Berg", "Dr. <NAME>"),
        ("SIGNED BY JOHN SMYTHE, MD", "SIGNED BY <NAME>"),
        ("Seen at Ashbrook Medical Center.", "Seen at <LOCATION>."),
        ("Klinikum Hochfeld, Lindenweg 7, 10115 Berlin", "<LOCATION>, <LOCATION>, <LOCATION>"),
        ("12 rue de la Paix", "<LOCATION>"), ("Springfield, IL 62704", "<LOCATION>"),
    ],
)  # fmt: skip
def test_names_and_places_by_what_stands_around_them(text: str, cleaned: str) -> None:
    assert clean_text(text, unknown_names=True)[0] == cleaned


@pytest.mark.parametrize(
    "text",
    [
        "Hodgkin lymphoma, Hashimoto thyroiditis, morbus Paget", "Montgomery glands; Tyrer-Cuzick lifetime risk 22 %",
        "T2N1M0, Ki-67 14 %, HER2 negative, Bloom-Richardson grade 2",
        "Selenia Dimensions VERSION 1.8.3, section 3.2, 3-D",
        "GEMS_FFDM_TC_1, 4/5 cores, BI-RADS 4B", "The Breast Center called. General Hospital policy.",
    ],
)  # fmt: skip
def test_terms_that_look_like_names(text: str) -> None:
    assert clean_text(text, unknown_names=True) == (text, 0)


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("Gail model, Kaplan-Meier curve, Wolfe pattern, Boyd category 5", None),
        ("Crohn's flare; history of Hashimoto; known Crohn; Rosai-Dorfman disease", None),
        ("Hologic Zqarvex and Arimidex, Herceptin, Eliquis", None),
        ("Seen by Dr. Gail today", "Seen by Dr. <NAME> today"),
        ("Discussed with Wolfe and Boyd.", "Discussed with <NAME> and <NAME>."),
        ("Boyd's daughter called", "<NAME> daughter called"), ("Patient Boyd's arm hurts", "Patient <NAME> arm hurts"),
        ("history of Smythe", "history of <NAME>"), ("Siemens sent Smythe", "Siemens sent <NAME>"),
    ],
)  # fmt: skip
def test_eponyms_and_products_stay_where_a_term_stands(text: str, cleaned: str | None) -> None:
    assert clean_text(text, unknown_names=True)[0] == (cleaned or text)


def test_descriptions_keep_eponyms_by_their_noun() -> None:
    assert keep_known_words("GAIL MODEL RISK")[0] == "GAIL MODEL RISK"
    assert keep_known_words("GAIL BREAST LEFT")[0] == "BREAST LEFT"
    assert keep_known_words("GAIL MODEL", deny_list(names=["Roe^Gail"]))[0] == "MODEL"


@pytest.mark.parametrize("text", ["Biopsy MeiLingPark", "PARKMEILING", "ParkMei-Ling"])
def test_joined_names_of_several_parts_go(text: str) -> None:
    cleaned = clean_text(text, deny_list(names=["Park^Mei-Ling"]))[0].lower()
    assert "park" not in cleaned
    assert "ling" not in cleaned


def test_vocabulary_is_as_derived(tmp_path: Path) -> None:
    from pipelines.deidentify import derive_vocabulary

    derive_vocabulary.main(["--out", str(tmp_path / "vocabulary.txt")])
    for name in ("vocabulary.txt", "code_meanings.txt"):
        assert (tmp_path / name).read_bytes() == Path(derive_vocabulary.__file__).with_name(name).read_bytes()


@pytest.mark.parametrize(
    "unit",
    [
        "A", "a ", "Smythe ", "Smythe, ", "Dr. ", "Dr", "van der ", "1/", "1 ", "1.", "2018-", "March ", "Aa-",
        "A.", "A^", "x@", "@x.",
        "Patient: ", "typed on ", "signed by ", "St. ", "+1 ", "(1", "Hospital ", "of ", "\t", "\n", "é",
        "Smythe's ", "'", "www.", "MRN ",
    ],
)  # fmt: skip
def test_time_grows_with_length_alone(unit: str) -> None:
    text = (unit * (100_000 // len(unit)))[:100_000]
    start = time.process_time()
    clean_text(text, DENY, unknown_names=True, days=10, oldest=89)
    assert time.process_time() - start < 10


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=400), st.booleans())
def test_any_text_can_be_cleaned_and_stays_clean(text: str, unknown: bool) -> None:
    cleaned, _ = clean_text(text, DENY, unknown_names=unknown, days=5, oldest=89)
    assert remove_denied(clean_text(text, DENY, unknown_names=unknown)[0], DENY)[1] == 0
    assert len(cleaned) <= 10 * len(text) + 10


def test_a_local_language_model_adds_to_what_is_found(tmp_path: Path) -> None:
    import spacy

    model = spacy.blank("en")
    ruler = model.add_pipe("entity_ruler")
    ruler.add_patterns([{"label": "PERSON", "pattern": "autumn"}, {"label": "DATE", "pattern": "lump"}])
    model.to_disk(tmp_path / "model")
    text = "later autumn felt a lump"
    assert clean_text(text, unknown_names=True) == (text, 0)
    assert clean_text(text, unknown_names=True, model=str(tmp_path / "model"))[0] == "later <NAME> felt a lump"
    with pytest.raises(FileNotFoundError):
        clean_text(text, model="en_core_web_sm")


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("King performed the biopsy.", "<NAME> performed the biopsy."),
        ("Software 2.1 patched by Astrid Ivanova", "Software 2.1 patched by <NAME>"),
        ("Interpreter Liv Lopes was present.", "Interpreter <NAME> was present."),
        ("Co-signed by Glen Rice.", "Co-signed by <NAME>."),
        ("Comparison 3/4/2018, 2019 and 2020. Stable.", "Comparison <DATE>, 2019 and 2020. Stable."),
        ("Comparison 3/4/2018, 2019 mm", "Comparison <DATE>, 2019 mm"),
        ("Cox regression and Masson trichrome; Baker II left.", "Cox regression and Masson trichrome; Baker II left."),
        ("Kein Anhalt für Malignität, Kontrolle in sechs Monaten", None),
    ],
)
def test_words_around_tell_a_name(text: str, cleaned: str | None) -> None:
    assert clean_text(text, unknown_names=True)[0] == (text if cleaned is None else cleaned)


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("Sent to wjanssen for overread; final by clundgren.", "Sent to <NAME> for overread; final by <NAME>."),
        ("Sent to pathology. Guided by US. Read by CT", "Sent to pathology. Guided by US. Read by CT"),
        ("no HRT. -CF", "no HRT. -<NAME>"),
        ("First reader 1: MT, arbitration WW", "First reader 1: <NAME>, arbitration <NAME>"),
        ("HCPC 37185, Reg. No. 87319, Medicare 3287 00879 0", "HCPC <ID>, Reg. No. <ID>, Medicare <ID>"),
        ("Copy to 07194 223741", "Copy to <PHONE>"),
        ("DEXA 6/30: T-score -2.1; 3/15 nodes; grade 2/3", "DEXA <DATE>: T-score -2.1; 3/15 nodes; grade 2/3"),
        ("Histologie vom 18.04. folgt", "Histologie vom <DATE> folgt"),
        ("PAM50 score 6; Van Nuys 9; Cowden not suspected", "PAM50 score 6; Van Nuys 9; Cowden not suspected"),
    ],
)
def test_how_hospitals_write(text: str, cleaned: str) -> None:
    assert clean_text(text, unknown_names=True)[0] == cleaned


def test_ids_and_phones_behind_more_cues() -> None:
    text = "UR: UR 0030510. Prior authorization 16-1126. Reading room 5598, after hours dial 0050."
    cleaned = "UR: <ID>. Prior authorization <ID>. Reading room <PHONE>, after hours dial <PHONE>."
    assert clean_text(text)[0] == cleaned
