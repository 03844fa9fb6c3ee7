"""What a picture is, by its header: exclusions, views, vendors, ages; on drawn headers and on the real files."""

from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from pipelines.normalize.decode import read_object
from pipelines.normalize.identity import identify, years
from pipelines.normalize.vendor import manufacturer, model
from pipelines.normalize.view import read_projection
from tests.normalize.drawing import wrap

PIXELS = np.zeros((1200, 1000), np.uint16)


def code(value: str, scheme: str = "SCT", modifiers: tuple[str, ...] = ()) -> list[Dataset]:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, "meaning"
    if modifiers:
        item.ViewModifierCodeSequence = [code(modifier, scheme)[0] for modifier in modifiers]
    return [item]


def bare(**elements: Any) -> Dataset:
    """A header that says nothing but what its pixels need, and the elements given."""
    silent = dict.fromkeys(
        ("SOPClassUID", "Modality", "Manufacturer", "ManufacturerModelName", "PresentationIntentType", "ViewPosition"),
    ) | dict.fromkeys(("ImageLaterality", "BreastImplantPresent", "ImageType", "PatientSex", "ImagerPixelSpacing"))
    return wrap(PIXELS, **(silent | elements))


@pytest.mark.parametrize(
    ("elements", "reason"),
    [
        ({}, None),
        ({"Modality": "CT", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.2"}, "not_mammography"),
        ({"Modality": "CR", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.1", "BodyPartExamined": "BREAST"}, None),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.13.1.3"}, "tomosynthesis"),
        ({"NumberOfFrames": 60}, "tomosynthesis"),
        ({"ImageType": ["DERIVED", "PRIMARY", "TOMOSYNTHESIS", "GENERATED_2D"]}, "synthetic_2d"),
        ({"SeriesDescription": "R MLO C-View"}, "synthetic_2d"),
        ({"ImageType": ["DERIVED", "PRIMARY", "POST_CONTRAST", "SUBTRACTION"]}, "contrast_subtracted"),
        ({"ImageType": ["DERIVED", "PRIMARY", "POST_CONTRAST", "LOW_ENERGY"]}, None),
        ({"BreastImplantPresent": "YES"}, "implant"),
        ({"BreastImplantPresent": "YES", "ViewCodeSequence": code("399162004", modifiers=("399209000",))}, None),
        ({"BreastImplantPresent": "YES", "ViewPosition": "CCID"}, None),
        ({"ViewCodeSequence": code("R-10242", "SRT", ("R-102D6",))}, "magnification"),
        ({"EstimatedRadiographicMagnificationFactor": 1.8}, "magnification"),
        ({"EstimatedRadiographicMagnificationFactor": 1.07}, None),
        ({"ViewPosition": "MCC"}, "magnification"),
        ({"ViewCodeSequence": code("399162004", modifiers=("399055006",))}, "spot"),
        ({"PaddleDescription": "10CM SPOT"}, "spot"),
        ({"ViewCodeSequence": code("127457009")}, "specimen"),
        ({"SeriesDescription": "Specimen radiograph"}, "specimen"),
        ({"SeriesDescription": "Stereotactic biopsy L CC"}, "biopsy"),
        ({"PatientSex": "M"}, "male"),
        ({"SyntheticData": "YES"}, "synthetic_data"),
        ({"SyntheticData": "YES", "Modality": "CT"}, "synthetic_data"),
        ({"SyntheticData": "NO"}, None),
        ({"ViewPosition": "XCCL"}, "view_other"),
        ({"ViewPosition": "ML"}, "view_other"),
        ({"ViewPosition": "LM"}, "view_other"),
        ({"ViewCodeSequence": code("399162004", modifiers=("399197002",))}, "view_other"),
        ({"ViewCodeSequence": code("399162004", modifiers=("442581004",))}, None),
        ({"ViewPosition": "FLATFIELD"}, "flat_field"),
        ({"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"}, "not_grayscale"),
        ({"Rows": 1, "Columns": 2}, "stub"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7", "ConversionType": "SD"}, "secondary_capture"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7", "ConversionType": "DF"}, None),
        ({"Modality": "SR", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.22"}, "not_mammography"),
    ],
)
def test_exclusions(elements: dict[str, Any], reason: str | None) -> None:
    assert identify(wrap(PIXELS, **elements)).exclusion == reason


def test_an_object_without_pixels() -> None:
    dataset = wrap(PIXELS)
    del dataset.PixelData
    assert identify(dataset).exclusion == "no_pixels"


@pytest.mark.parametrize(
    ("elements", "reason"),
    [
        ({}, "not_mammography"),
        ({"ViewPosition": "MLO"}, None),
        ({"ImageLaterality": "R"}, None),
        ({"ImageLaterality": "R", "BodyPartExamined": "HAND"}, "not_mammography"),
        ({"ViewPosition": "AP", "Modality": "DX"}, "not_mammography"),
        ({"ManufacturerModelName": "Senographe Pristina"}, None),
        ({"Modality": "PT", "BodyPartExamined": "BREAST"}, "not_mammography"),
    ],
)
def test_mammography_is_recognized_in_near_empty_headers(elements: dict[str, Any], reason: str | None) -> None:
    assert identify(bare(**elements)).exclusion == reason


def test_an_unknown_view_is_kept_and_flagged() -> None:
    identity = identify(wrap(PIXELS, ViewPosition=None))
    assert (identity.exclusion, identity.view) == (None, None)
    assert "view_unknown" in identity.flags


@pytest.mark.parametrize(
    ("elements", "laterality", "view"),
    [
        ({"ImageLaterality": "R", "ViewPosition": "CC"}, "R", "CC"),
        ({"Laterality": "L", "ViewCodeSequence": code("399368009")}, "L", "MLO"),
        ({"Laterality": "L", "ViewCodeSequence": code("R-10226", "SNM3")}, "L", "MLO"),
        ({"ViewPosition": "RMLO"}, "R", "MLO"),
        ({"SeriesDescription": "L MLO"}, "L", "MLO"),
        ({"SeriesDescription": "Mammo RCC 2D"}, "R", "CC"),
        ({"ProtocolName": "ROUTINE 3D_LEFT_CC"}, "L", "CC"),
        ({"SeriesDescription": "MAMMO SCREENING ACCESS"}, None, None),
        ({"PatientOrientation": ["P", "L"]}, "R", None),
        ({"PatientOrientation": ["A", "FR"]}, "L", None),
    ],
)
def test_laterality_and_view_from_many_places(
    elements: dict[str, Any], laterality: str | None, view: str | None
) -> None:
    projection = read_projection(bare(**elements))
    assert (projection.laterality, projection.view) == (laterality, view)


def test_frame_laterality_of_the_shared_functional_groups() -> None:
    anatomy, group = Dataset(), Dataset()
    anatomy.FrameLaterality = "R"
    group.FrameAnatomySequence = [anatomy]
    assert read_projection(bare(SharedFunctionalGroupsSequence=[group])).laterality == "R"


def test_contradictions_are_flagged() -> None:
    dataset = wrap(PIXELS, Laterality="R", ViewCodeSequence=code("399368009"), PatientOrientation=["P", "L"])
    assert set(read_projection(dataset).contradictions) == {
        "laterality_contradiction",
        "view_contradiction",
        "orientation_contradicts_laterality",
    }


@pytest.mark.parametrize(
    ("maker", "model_name", "canonical"),
    [
        ("HOLOGIC, Inc.", "Selenia Dimensions", "Hologic"),
        ("LORAD", "Lorad Selenia", "Hologic"),
        ("GE MEDICAL SYSTEMS", "Senographe Essential VERSION ADS_54.10", "GE"),
        ("SIEMENS", "Mammomat Inspiration", "Siemens"),
        ("Siemens Healthineers", "MAMMOMAT Revelation", "Siemens"),
        ("FUJIFILM Corporation", "AMULET Innovality", "Fujifilm"),
        ("FUJI PHOTO FILM Co., ltd.", "", "Fujifilm"),
        ("Philips Digital Mammography Sweden AB", "L50", "Philips"),
        ("Sectra Imtec AB", "MDM", "Philips"),
        ("", "Senograph DS ADS_43.10.1", "GE"),
        ("", "", "unknown"),
        ("PINEAGE LARGE", "", "unknown"),
    ],
)
def test_vendor_names(maker: str, model_name: str, canonical: str) -> None:
    assert manufacturer(bare(Manufacturer=maker, ManufacturerModelName=model_name)) == canonical


def test_vendor_group_and_model() -> None:
    dataset = wrap(
        PIXELS, Manufacturer="GE MEDICAL SYSTEMS", ManufacturerModelName="Senographe|Essential VERSION ADS_54"
    )
    assert model(dataset) == "Senographe Essential"
    assert identify(dataset).vendor_group == "GE|Senographe Essential|FOR PRESENTATION|lossless"
    dataset.LossyImageCompression = "01"
    assert identify(dataset).vendor_group.endswith("|lossy")


@pytest.mark.parametrize(
    ("age", "expected"),
    [
        ("052Y", 52),
        ("410M", 34.1667),
        ("732.0m", 61),
        ("104W", 1.9932),
        ("000Y", None),
        ("", None),
        ("old", None),
        ("999Y", None),
    ],
)
def test_ages(age: str, expected: float | None) -> None:
    assert years(age) == expected


def test_broken_elements_cost_no_more_than_themselves() -> None:
    dataset = wrap(PIXELS, PatientAge="abc", WindowCenter=None)
    dataset.add_new("EstimatedRadiographicMagnificationFactor", "LO", "not a number")
    dataset.add_new("NumberOfFrames", "LO", "many")
    dataset.add_new("ViewCodeSequence", "LO", "no sequence")
    identity = identify(dataset)
    assert (identity.exclusion, identity.view, identity.patient_age) == (None, "CC", None)


@pytest.mark.parametrize(
    ("name", "exclusion", "laterality", "view"),
    [
        ("clunie_MG_pixelspacing_text.dcm", "magnification", "R", "CC"),
        ("ge_essential_2.25.2626.dcm", "view_other", "R", None),
        ("ge_essential_GH133.dcm", None, "R", "MLO"),
        ("hologic_dbt_jpeg2k_3d.dcm", "tomosynthesis", "L", "CC"),
        ("nema_MG1_JPLY", None, "L", "MLO"),
        ("openrem_GE_Seno_1_ForPresentation.dcm", "biopsy", "L", "CC"),
        ("openrem_RDSR_Hologic_2D.dcm", "no_pixels", None, None),
        ("rsna_10006_1864590858_tagged.dcm", None, "R", "MLO"),
        ("rsna_10006_1874946579.dcm", None, "R", None),
        ("rsna_10006_462822612.dcm", None, "L", None),
    ],
)
def test_real_headers(name: str, exclusion: str | None, laterality: str | None, view: str | None, shared: Any) -> None:
    identity = identify(read_object(shared / "data" / "dicom-mg" / name))
    assert (identity.exclusion, identity.laterality, identity.view) == (exclusion, laterality, view)


def test_no_other_real_file_is_taken_for_a_mammogram(shared: Any) -> None:
    paths = [p for p in sorted((shared / "data" / "dicom-other").iterdir()) if p.suffix != ".txt"]
    found = {identify(read_object(path)).exclusion for path in paths}
    assert found == {"not_mammography", "no_pixels"}
