import pytest

from pipelines.deidentify.text import clean_text
from pipelines.deidentify.text_initials import initials_in
from pipelines.deidentify.text_words import is_login


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Screened by LM 13:20.", ["LM"]),
        ("Transcribed by: ML   Job 3", ["ML"]),
        ("questions answered. HB", ["HB"]),
        ("Exam done. MM 12/10", ["MM"]),
        ("T: 3/5/2019 10:02/ZG\nJob", ["ZG"]),
        ("Dictated but not checked. HS/FD", ["HS/FD"]),
        ("D/T: CM/TF", ["CM/TF"]),
        ("thx AV", ["AV"]),
        ("Time out with Jones RN and CW RT.", ["CW"]),
        ("released by echristodoulou.", ["echristodoulou"]),
        ("placed by zmontgomery 06:58", ["zmontgomery"]),
        ("mokonkwo 16:07 - addended", ["mokonkwo"]),
        ("TECH=odhaliwal LOC=2", ["odhaliwal"]),
    ],
)
def test_staff_that_signs_is_found(text: str, found: list[str]) -> None:
    assert set(found) <= {text[start:end] for start, end in initials_in(text)}


@pytest.mark.parametrize(
    "text",
    [
        "Compared by US and CC views.", "Spot CC and ML.", "Recommend MR.", "5 mg/kg, 3/wk, 10/hpf",
        "reviewed later by phone", "felt by palpation", "Tomosynthesis LMLO. OK.",
    ],
)  # fmt: skip
def test_terms_are_no_signatures(text: str) -> None:
    assert clean_text(text, unknown_names=True) == (text, 0)


def test_a_login_is_an_initial_and_a_family_name() -> None:
    assert is_login("zmontgomery")
    assert is_login("gomezm")
    assert not any(map(is_login, ("later", "mammogram", "calcification", "montgomery", "ample", "smith")))
