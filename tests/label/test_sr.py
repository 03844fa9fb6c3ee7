import pytest
from highdicom.sr import (
    CodeContentItem,
    ContainerContentItem,
    ImageContentItem,
    NumContentItem,
    RelationshipTypeValues,
    TextContentItem,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.sr.coding import Code
from pydicom.uid import DigitalMammographyXRayImageStorageForPresentation, generate_uid

from pipelines.label.sr import COMPOSITION, DENIED, DENSITY_OF, ELSEWHERE, LATERALITY_NAMES, SIDE_OF, read_sr
from pipelines.label.statement import Statement


def said(root):
    return [(s.laterality, s.density) for s in read_sr(root)]


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
HAS_CONTEXT = RelationshipTypeValues.HAS_ACQ_CONTEXT


def code(name, value, *children, relationship=CONTAINS):
    item = CodeContentItem(name, value, relationship_type=relationship)
    if children:
        item.ContentSequence = Sequence(list(children))
    return item


def container(name, *items):
    box = ContainerContentItem(name, relationship_type=CONTAINS)
    box.ContentSequence = Sequence(list(items))
    return box


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
    (statement,) = read_sr(document(code(scheme["name"], scheme[density], modifier)))
    assert statement == Statement(side, density, "")
    assert statement.rule == f"{scheme['name'].scheme_designator} {scheme['name'].value}"


def test_each_breast_has_its_own():
    items = [code(SCT["name"], SCT[d], code(SCT["side"], SCT[s], relationship=MODIFIES)) for s, d in ("LB", "RC")]
    assert said(document(*items)) == [("L", "B"), ("R", "C")]


def test_side_of_the_container_is_inherited():
    box = ContainerContentItem(SCT["name"], relationship_type=CONTAINS)
    side = code(SCT["side"], Code("24028007", "SCT", "Right"), relationship=MODIFIES)
    box.ContentSequence = Sequence([side, code(SCT["name"], SCT["D"])])
    assert said(document(box, code(SCT["name"], SCT["A"]))) == [("R", "D"), (None, "A")]


def test_side_named_below_the_finding_site():
    site = code(Code("363698007", "SCT", "Finding Site"), Code("76752008", "SCT", "Breast"), relationship=MODIFIES)
    site.ContentSequence = Sequence([code(SCT["side"], Code("7771000", "SCT", "Left"), relationship=MODIFIES)])
    assert said(document(code(SCT["name"], SCT["B"], site))) == [("L", "B")]


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


@pytest.mark.parametrize(
    ("value", "scheme", "meaning"),
    [
        ("111424", "DCM", "Comparison to previous studies"),
        ("121060", "DCM", "History"),
        ("11329-0", "LN", "History"),
        ("121068", "DCM", "Previous Findings"),
        ("18834-2", "LN", "Previous Findings"),
        ("111549", "DCM", "Previous Reports"),
        ("18785-6", "LN", "Indications for Procedure"),
    ],
)
def test_what_other_examinations_showed_does_not_count(value, scheme, meaning):
    """CID 6052 sections, PS3.16; the same composition outside of them counts."""
    prior = container(Code(value, scheme, meaning), container(SCT["name"], code(SCT["name"], SCT["D"])))
    assert said(document(prior)) == []
    assert said(document(prior, code(SCT["name"], SCT["B"]))) == [(None, "B")]


@pytest.mark.parametrize("denial", [Code("272519000", "SCT", "Absent"), Code("373068000", "SCT", "Undetermined")])
def test_a_finding_that_is_taken_back_says_nothing(denial):
    presence = code(Code("705057003", "SCT", "Presence"), denial, relationship=MODIFIES)
    assert said(document(code(SCT["name"], SCT["D"], presence))) == []
    present = code(Code("705057003", "SCT", "Presence"), Code("52101004", "SCT", "Present"), relationship=MODIFIES)
    assert said(document(code(SCT["name"], SCT["D"], present))) == [(None, "D")]


def test_a_dose_reports_composition_is_that_of_its_dose_model():
    root = ContainerContentItem(Code("113701", "DCM", "X-Ray Radiation Dose Report"), template_id="10001")
    root.ContentSequence = Sequence([code(SCT["name"], SCT["C"])])
    assert said(root) == []


def test_composition_section_of_a_breast_imaging_report():
    """TID 4205: a container for each breast, with its side as a modifier, and the composition within."""
    sections = [
        container(
            SRT["name"],
            code(SRT["side"], SRT[side], relationship=MODIFIES),
            TextContentItem(SRT["name"], "see above", relationship_type=CONTAINS),
            code(SRT["name"], SRT[density]),
        )
        for side, density in (("R", "B"), ("L", "A"))
    ]
    assert said(document(*sections)) == [("R", "B"), ("L", "A")]


@pytest.mark.parametrize(("asked", "sides"), [([1], "L"), ([2], "R"), ([1, 3], "L"), ([1, 2], None), ([9], None)])
def test_side_of_the_images_that_cad_measured(asked, sides):
    """Mammography CAD SR: the finding refers to entries of the image library (TID 4020), which have the side."""
    library = container(Code("111028", "DCM", "Image Library"))
    for side in ("L", "R", "L"):
        entry = ImageContentItem(
            Code("260753009", "SCT", "Source"),
            DigitalMammographyXRayImageStorageForPresentation,
            generate_uid(),
            relationship_type=CONTAINS,
        )
        laterality = code(Code("111027", "DCM", "Image Laterality"), SCT[side], relationship=HAS_CONTEXT)
        entry.ContentSequence = Sequence([laterality])
        library.ContentSequence.append(entry)
    references = []
    for number in asked:
        reference = Dataset()
        reference.RelationshipType = "INFERRED FROM"
        reference.ReferencedContentItemIdentifier = [1, 1, number]
        references.append(reference)
    finding = code(Code("111059", "DCM", "Single Image Finding"), SCT["name"])
    finding.add_new(0x0040A730, "SQ", Sequence([code(SCT["name"], SCT["C"]), *references]))
    root = ContainerContentItem(Code("111036", "DCM", "Mammography CAD Report"), template_id="4000")
    root.ContentSequence = Sequence([library, finding])
    assert said(root) == [(sides, "C")]


CODES = st.sampled_from([*COMPOSITION, *DENSITY_OF, *LATERALITY_NAMES, *SIDE_OF, *ELSEWHERE, *DENIED, ("1", "99X")])


@st.composite
def trees(draw, depth=3):
    item = Dataset()
    for keyword in ("ConceptNameCodeSequence", "ConceptCodeSequence"):
        if draw(st.booleans()):
            entry = Dataset()
            entry.CodeValue, entry.CodingSchemeDesignator = draw(CODES)
            setattr(item, keyword, Sequence([entry]))
    if draw(st.booleans()):
        item.RelationshipType = draw(st.sampled_from(["CONTAINS", "HAS CONCEPT MOD", "HAS PROPERTIES"]))
    if draw(st.booleans()):
        item.ReferencedContentItemIdentifier = draw(st.lists(st.integers(0, 5), max_size=4))
    if depth and draw(st.booleans()):
        item.ContentSequence = Sequence(draw(st.lists(trees(depth - 1), max_size=3)))
    return item


@settings(max_examples=60, deadline=None)
@given(trees())
def test_no_tree_is_too_strange(root):
    found = said(root)
    assert len(set(found)) == len(found)
    assert all(side in ("L", "R", None) and density in "ABCD" for side, density in found)


def test_broken_trees_are_borne():
    assert read_sr(Dataset()) == ()
    item = Dataset()
    item.ConceptNameCodeSequence = Sequence([])
    item.ContentSequence = Sequence([Dataset()])
    assert read_sr(item) == ()
