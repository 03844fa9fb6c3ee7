"""Report sentences with the density that a radiologist would read from them: {None: both, "L", "R"} to A to D."""

import pytest

from pipelines.label.report import read_report

A, B, C, D = ({None: d} for d in "ABCD")
NOTHING: dict = {}

FIFTH_EDITION = [
    ("The breasts are almost entirely fatty.", A),
    ("The breast tissue is almost entirely fat.", A),
    ("There are scattered areas of fibroglandular density.", B),
    ("The breasts are heterogeneously dense, which may obscure small masses.", C),
    ("The breasts are extremely dense, which lowers the sensitivity of mammography.", D),
    ("Breast composition: a. The skin is normal.", A),
    ("Breast composition category b.", B),
    ("Breast density category C.", C),
    ("BREAST DENSITY: D", D),
    ("Density: B - scattered areas of fibroglandular density", B),
    ("ACR b.", B),
    ("ACR category d", D),
    ("ACR density C, unchanged.", C),
    ("ACR BI-RADS density b.", B),
    ("BI-RADS density category c, heterogeneously dense.", C),
    ("The breast tissue is heterogeneously dense (category C).", C),
    ("Category b density.", B),
    ("Breast tissue density: (c)", C),
]
FOURTH_EDITION = [
    ("The breast tissue is almost entirely fat (<25% glandular).", A),
    ("There are scattered fibroglandular densities (approximately 25-50% glandular).", B),
    ("The breast tissue is heterogeneously dense (approximately 51 – 75% glandular).", C),
    ("The breast tissue is extremely dense (>75% glandular).", D),
    ("Glandular tissue less than 25% of the breast.", A),
    ("Parenchyma occupies 25% to 50% of the breast.", B),
    ("Fibroglandular tissue: 51% - 75%.", C),
    ("Glandular tissue makes up more than 75 %.", D),
    ("Breast parenchyma type 2.", B),
    ("Type 3 parenchymal pattern.", C),
    ("ACR type 4 breast tissue.", D),
    ("Breast density ACR 2.", B),
    ("Parenchyma: ACR III.", C),
    ("Breast composition: 1.", A),
    ("Scattered fibroglandular tissue is present in both breasts.", B),
    ("The breasts are predominantly fatty.", A),
    ("The breasts are fatty replaced.", A),
    ("BREAST DENSITY: BI-RADS 1, fatty breasts.", A),
    ("Breast density: BI-RADS 4.", D),
    ("Breast composition: BI-RADS category 2.", B),
    ("Fatty breasts.", A),
]
TYPING_ERRORS = [
    ("The breasts are heterogenously dense.", C),
    ("The breasts are heterogeneous dense.", C),
    ("Breast tissue is extremly dense.", D),
    ("scattered fibro-glandular densities", B),
    ("Scatterd.  Scattered fibroglandular  \n densities.", B),
    ("THE BREASTS ARE HETEROGENEOUSLY DENSE", C),
]
DENIED = [
    ("The breasts are not extremely dense.", NOTHING),
    ("The breast tissue is no longer heterogeneously dense.", NOTHING),
    ("The tissue is scattered fibroglandular rather than heterogeneously dense.", B),
    ("Neither extremely dense nor heterogeneously dense.", NOTHING),
    ("The breasts aren't considered extremely dense.", NOTHING),
    ("Previously heterogeneously dense, now scattered fibroglandular densities.", B),
    ("Heterogeneously dense on the prior exam; now there are scattered fibroglandular densities.", B),
    ("The density has changed from heterogeneously dense to scattered fibroglandular density.", B),
    ("Compared to the prior exam the breasts remain heterogeneously dense.", C),
    ("There is no suspicious mass in the heterogeneously dense breasts.", C),
    ("The breasts are heterogeneously to extremely dense.", NOTHING),
    ("Either scattered fibroglandular densities or heterogeneously dense tissue.", NOTHING),
]
SIDED = [
    (
        "The right breast is heterogeneously dense and the left breast is extremely dense.",
        {"R": "C", "L": "D"},
    ),
    ("Heterogeneously dense on the right and extremely dense on the left.", {"R": "C", "L": "D"}),
    ("Left breast: almost entirely fatty. Right breast: scattered fibroglandular density.", {"L": "A", "R": "B"}),
    ("RIGHT BREAST:\nHeterogeneously dense.\nLEFT BREAST:\nExtremely dense.", {"R": "C", "L": "D"}),
    ("The left breast is surgically absent and the right breast is heterogeneously dense.", {"R": "C"}),
    ("Both breasts are extremely dense.", D),
    ("Heterogeneously dense bilaterally.", C),
    ("The left and right breasts are heterogeneously dense.", C),
    ("The breasts are heterogeneously dense with a mass in the left breast.", C),
    ("Right breast composition: b.", {"R": "B"}),
    ("Extremely dense left breast.", {"L": "D"}),
]
LOOKALIKES = [
    ("There is an extremely dense mass in the left breast.", NOTHING),
    ("Heterogeneously dense calcifications at 3 o'clock.", NOTHING),
    ("A dense round calcification is benign.", NOTHING),
    ("Almost entirely fatty lymph node in the right axilla.", NOTHING),
    ("A fat-containing lesion is seen.", NOTHING),
    ("Focal asymmetric density in the upper outer quadrant.", NOTHING),
    ("Scattered benign calcifications.", NOTHING),
    ("BI-RADS category 2: benign.", NOTHING),
    ("Assessment: BI-RADS 4B, suspicious.", NOTHING),
    ("Suspicious density, BI-RADS category 4.", NOTHING),
    ("Suspicious density BI-RADS 4.", NOTHING),
    ("ACR 2: benign finding.", NOTHING),
    ("Type 2 diabetes.", NOTHING),
    ("Breast density is a risk factor.", NOTHING),
    ("A density of 2.5 cm is seen.", NOTHING),
    ("The facility is ACR accredited.", NOTHING),
    ("Heterogeneously dense tissue surrounds a dense mass.", C),
]
NOTICES = [
    ("Women with extremely dense breasts may benefit from supplemental screening.", NOTHING),
    ("If your mammogram shows heterogeneously dense breasts, talk to your doctor.", NOTHING),
    ("Breast tissue can be either dense or not dense.", NOTHING),
    ("Dense breast tissue makes it harder to find cancer; extremely dense tissue even more.", NOTHING),
    ("State law requires that patients with heterogeneously dense breasts be notified.", NOTHING),
    ("About 40% of women have heterogeneously dense breasts.", NOTHING),
    (
        "Categories: almost entirely fatty, scattered fibroglandular density, heterogeneously dense, extremely dense.",
        NOTHING,
    ),
]
SENTENCES = [*FIFTH_EDITION, *FOURTH_EDITION, *TYPING_ERRORS, *DENIED, *SIDED, *LOOKALIKES, *NOTICES]


@pytest.mark.parametrize(("text", "expected"), SENTENCES, ids=[text[:60] for text, _ in SENTENCES])
def test_sentence(text, expected):
    assert {s.laterality: s.density for s in read_report(text)} == expected


def test_many_sentences_are_tried():
    assert len(SENTENCES) >= 60
    assert len({text for text, _ in SENTENCES}) == len(SENTENCES)


REPORTS = [
    (
        """EXAM: DIGITAL SCREENING MAMMOGRAM
CLINICAL HISTORY: Extremely dense breasts. Sister with cancer.
COMPARISON: 2019, heterogeneously dense.
TECHNIQUE: Standard views.
FINDINGS: There are scattered areas of fibroglandular density. A dense mass of
2.5 cm lies in the left breast.
IMPRESSION: BI-RADS 4.
NOTICE: Your breast tissue is extremely dense.""",
        B,
    ),
    ("History: dense breasts, category D. Comparison: none. Findings: The breasts are heterogeneously\ndense.", C),
    ("CLINICAL HISTORY: Extremely dense breasts.\n\nThe breasts are almost entirely fatty.", A),
    ("HISTORY:\n\nExtremely dense breasts.\n\nFINDINGS\nACR b.", B),
    ("BREAST COMPOSITION:\nCategory c.\nIMPRESSION:\nNegative. BI-RADS 1.", C),
    ("Findings: The breasts are extremely dense. Impression: Extremely dense breasts, negative.", D),
    ("Impression: Normal. BI-RADS category 1.", NOTHING),
    ("", NOTHING),
]


@pytest.mark.parametrize(("text", "expected"), REPORTS)
def test_sections_of_a_whole_report(text, expected):
    assert {s.laterality: s.density for s in read_report(text)} == expected


def test_statements_that_disagree_are_all_handed_on():
    text = "Findings: The breasts are heterogeneously dense. Impression: Extremely dense breasts."
    assert [s.density for s in read_report(text)] == ["C", "D"]


def test_a_long_report_is_read_in_time():
    text = "The breasts are heterogeneously dense and " * 2000 + "a" * 20000 + " " * 20000
    assert len(read_report(text)) <= 1
