import pytest
from highdicom.sr import (
    CodeContentItem,
    ContainerContentItem,
    NumContentItem,
    RelationshipTypeValues,
    TextContentItem,
)
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.sr.coding import Code

from pipelines.label.sr import read_sr
from pipelines.label.statement import Statement

SCT = {
    "name": Code("129715009", "SCT", "Breast composition"),
    "A": Code("129716005", "SCT", "Almost entirely fat"),
    "B": Code("129717001", "SCT", "Scattered fibroglandular densities"),
    "C": Code("129718006", "SCT", "Heterogeneously dense"),
    "D": Code("129719003", "SCT", "Extremely dense"),
    "side": Code("272741003", "SCT", "Laterality"),
    "L": Code("80248007", "SCT", "Left breast"),
    "R": Code("73056007", "SCT", "Right breast"),
    None: Code("63762007", "SCT", "Both breasts"),
}
SRT = {
    "name": Code("F-01710", "SRT", "Breast composition"),
    "A": Code("F-01711", "SRT", "Almost entirely fat"),
    "B": Code("F-01712", "SRT", "Scattered fibroglandular densities"),
    "C": Code("F-01713", "SRT", "Heterogeneously dense"),
    "D": Code("F-01714", "SRT", "Extremely dense"),
    "side": Code("G-C171", "SRT", "Laterality"),
    "L": Code("T-04030", "SRT", "Left breast"),
    "R": Code("T-04020", "SRT", "Right breast"),
    None: Code("T-04080", "SRT", "Both breasts"),
}
CONTAINS, MODIFIES = RelationshipTypeValues.CONTAINS, RelationshipTypeValues.HAS_CONCEPT_MOD


def code(name, value, *children, relationship=CONTAINS):
    item = CodeContentItem(name, value, relationship_type=relationship)
    if children:
        item.ContentSequence = Sequence(list(children))
    return item


def document(*items):
    """A report's root container with the items in a findings section."""
    section = ContainerContentItem(Code("121070", "DCM", "Findings"), relationship_type=CONTAINS)
    section.ContentSequence = Sequence(list(items))
    root = ContainerContentItem(Code("111400", "DCM", "Breast Imaging Report"), template_id="4200")
    root.ContentSequence = Sequence([section])
    return root


@pytest.mark.parametrize("scheme", [SCT, SRT], ids=["SCT", "SRT"])
@pytest.mark.parametrize("density", "ABCD")
@pytest.mark.parametrize("side", ["L", "R", None])
def test_composition_of_a_side(scheme, density, side):
    modifier = code(scheme["side"], scheme[side], relationship=MODIFIES)
    assert read_sr(document(code(scheme["name"], scheme[density], modifier))) == (Statement(side, density),)


def test_each_breast_has_its_own():
    items = [code(SCT["name"], SCT[d], code(SCT["side"], SCT[s], relationship=MODIFIES)) for s, d in ("LB", "RC")]
    assert read_sr(document(*items)) == (Statement("L", "B"), Statement("R", "C"))


def test_side_of_the_container_is_inherited():
    box = ContainerContentItem(SCT["name"], relationship_type=CONTAINS)
    side = code(SCT["side"], Code("24028007", "SCT", "Right"), relationship=MODIFIES)
    box.ContentSequence = Sequence([side, code(SCT["name"], SCT["D"])])
    assert read_sr(document(box, code(SCT["name"], SCT["A"]))) == (Statement("R", "D"), Statement(None, "A"))


def test_side_named_below_the_finding_site():
    site = code(Code("363698007", "SCT", "Finding Site"), Code("76752008", "SCT", "Breast"), relationship=MODIFIES)
    site.ContentSequence = Sequence([code(SCT["side"], Code("7771000", "SCT", "Left"), relationship=MODIFIES)])
    assert read_sr(document(code(SCT["name"], SCT["B"], site))) == (Statement("L", "B"),)


def test_lookalikes_say_nothing():
    lookalikes = [
        code(Code("129793001", "SCT", "Mammography breast density"), SCT["D"]),
        code(Code("121071", "DCM", "Finding"), Code("129793001", "SCT", "Mammography breast density")),
        code(Code("129739003", "SCT", "Density"), Code("129740001", "SCT", "High density")),
        code(SCT["name"], Code("129740001", "SCT", "High density")),
        TextContentItem(SCT["name"], "extremely dense", relationship_type=CONTAINS),
        NumContentItem(SCT["name"], 80.0, Code("%", "UCUM", "percent"), relationship_type=CONTAINS),
        code(Code("129715009", "99LOCAL", "Breast composition"), SCT["D"]),
    ]
    assert read_sr(document(*lookalikes)) == ()


def test_broken_trees_are_borne():
    assert read_sr(Dataset()) == ()
    item = Dataset()
    item.ConceptNameCodeSequence = Sequence([])
    item.ContentSequence = Sequence([Dataset()])
    assert read_sr(item) == ()
