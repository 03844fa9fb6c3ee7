import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.deidentify.text import clean_text, keep_known_words
from pipelines.deidentify.text_numbers import numbers_in


def _cleaned(text: str) -> str:
    return clean_text(text, unknown_names=True)[0]


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("Reading room 4-1122 or ext 5533", "Reading room <PHONE> or ext <PHONE>"),
        ("left on 656.7878 x1, office (9 242-2682)", "left on <PHONE> x1, office (<PHONE>)"),
        ("call 703-PAGE or 1-800-4-CANCER", "call <PHONE> or <ID>"),
        ("OR front desk x5-0014.", "OR front desk <PHONE>."),
        ("+1 (555) 010-9999 x123", "<PHONE> <PHONE>"),
        ("Call centre 13 85 87; loc. 455.", "Call centre <PHONE>; loc. <PHONE>."),
        ("CD # CD-4148-508, lic. 62704-320", "CD # <ID>, lic. <ID>"),
        ("Certified mail 7019 3768 4441 0297 7574. UPS 1ZJ09N480397404285", "Certified mail <ID>. UPS <ID>"),
        ("RAMQ PZBZ 7861 7190; UR 7293207", "RAMQ <ID>; <ID>"),
        ("File M20376 / 43 closed", "File <ID> closed"),
        ("Hosp No: 981071 C   Pathway", "Hosp No: <ID>   Pathway"),
        ("Matched to NHI WRM26KP.", "Matched to NHI <ID>."),
        ("Seed log entry RSL-219, plan id PLN_GQ_4981", "Seed log entry <ID>, plan id <ID>"),
        ("S/N 88213; batch 23-117, badge B-1187", "S/N <ID>; batch <ID>, badge <ID>"),
        ("job 855438-47, screen T9-7371", "job <ID>, screen <ID>"),
        ("Copy to 07194 223741.", "Copy to <PHONE>."),
    ],
)
def test_numbers_that_nothing_explains_go_whole(text: str, cleaned: str) -> None:
    assert _cleaned(text) == cleaned


@pytest.mark.parametrize(
    "text",
    [
        "14 x 11 x 9 mm, 14x11x9mm, 2.25 cm, 1500 mL, 2,500 IU, 4256 cGy in 16 fractions, 0.1875 mm",
        "at 10:30, 9.15 am, 07:41-08:20, time out 1435, consent at 0915, clinic 0800-1600, 1627 hrs",
        "2015, 2017-2019, 1990s, FY2021",
        "CPT 77067-26, 77063, 76642 and G0279; ICD-10 C50.911, Z12.31; LOINC 24606-6; MBS item 59300, 55076",
        "pT1c pN1mi(sn) cM0, T2N1M0, 8500/3, 3/14 nodes, 128/76, 5/4/4, ER 95%, Ki-67 18%",
        "CHEK2 c.1100delC, BRCA1 c.68_69delAG, 1:100,000, eGFR 74 mL/min/1.73m2",
        "software 1.11.0.8, version 10.3.0.1102, v56.21.3, MAMMOMAT 3000, Isovue 370, Dragon 2022.3",
        "image no. 125, slice #34 of 62, patient #14, clip #2, matrix 3328x4096, 4096 gray levels",
        "SNR 1432, x = 1123, b = 800, TR 4500, NCT04191135, transfer syntax 1.2.840.10008.1.2.4.70",
        "NPI 3.4; room 4; 2D/3D; L1-L4; 8.8.",
    ],
)
def test_what_clinical_text_counts_and_measures_stays(text: str) -> None:
    assert _cleaned(text) == text


def test_a_product_explains_a_number_only_without_a_cue_of_an_id() -> None:
    assert _cleaned("Selenia 3000") == "Selenia 3000"
    assert _cleaned("Selenia serial 3000-77") == "Selenia serial <ID>"


def test_descriptions_lose_the_whole_of_a_number_that_is_joined() -> None:
    assert keep_known_words("MAMMOGRAM unit S/N FB0333-237") == ("MAMMOGRAM unit S/N", 1)
    assert keep_known_words("MRI BREAST W/WO 77049, 3328x4096")[1] == 0


@settings(max_examples=300, deadline=None)
@given(
    st.from_regex(r"[A-Z]{0,3}-?[0-9]{5,9}(?:-[0-9]{1,4})?[A-Z]?", fullmatch=True),
    st.sampled_from(["seen with {} today", "({})", "[{}]; stable", "{}", "a\n{}\nb"]),
)
def test_no_number_of_five_digits_and_more_is_left_without_a_reason(number: str, sentence: str) -> None:
    cleaned = _cleaned(sentence.format(number))
    digits = "".join(c for c in number if c.isdecimal())
    explained = len(digits) == 5 and numbers_in(sentence.format(number)) == []
    assert explained or digits not in "".join(c for c in cleaned if c.isdecimal())


@pytest.mark.parametrize("piece", ["12 ", "12-", "1 23 ", "AB1/", "9 9 99 ", "#1 no. ", "1.2.3", "12/3, "])
def test_time_grows_with_length_alone(piece: str) -> None:
    def seconds(length: int) -> float:
        text = piece * (length // len(piece))
        start = time.process_time()
        numbers_in(text)
        return time.process_time() - start

    seconds(2000)
    short, long = (min(seconds(length) for _ in range(3)) for length in (4000, 32_000))
    assert long < 40 * short + 0.05
