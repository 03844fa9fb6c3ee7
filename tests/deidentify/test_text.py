import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from pipelines.deidentify.deny import deny_list, deny_list_of, is_placeholder
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
        "Stable since prior exam; routine follow-up in 1 year.", "No suspicious calcifications. Impression: negative.",
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


def test_deny_list_of_a_header_reads_nested_names() -> None:
    dataset = mammogram()
    dataset.RequestAttributesSequence = [Dataset()]
    dataset.RequestAttributesSequence[0].RequestingPhysician = "Zwettler^Bruno"
    deny = deny_list_of(dataset)
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
