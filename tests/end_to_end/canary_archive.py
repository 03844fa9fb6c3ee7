"""A delivery in which whatever can identify holds a canary: every header field, path, table, report and picture."""

import itertools
import random
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, JPEGLosslessSV1

from pipelines.deidentify.confidentiality import concrete_tags, rule_of
from pipelines.deidentify.profile import Profile
from pipelines.deidentify.reading import quiet

MG = "1.2.840.10008.5.1.4.1.1.1.2"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
SR = "1.2.840.10008.5.1.4.1.1.88.33"
_TEXT_VRS = frozenset({"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"})
_OF_THE_OBJECT = frozenset({0x00080016, 0x00080018, 0x0020000D, 0x0020000E})


@dataclass
class Canaries:
    """Words that stand nowhere else in the world, and where each was put."""

    words: dict[str, str] = field(default_factory=dict)
    pixels: set[str] = field(default_factory=set)

    def new(self, place: str) -> str:
        """A word of twelve letters for a place: pronounceable, in no vocabulary, the same in every run."""
        while True:
            chance = random.Random(f"{place} {len(self.words)}")
            pairs = ("".join(chance.choice(letters) for letters in ("BDFGKLMNPRSTVZ", "AEIOU")) for _ in range(6))
            word = "".join(pairs).capitalize()
            if word not in self.words:
                self.words[word] = place
                return word

    def uid(self, place: str) -> str:
        """An instance UID that no other archive holds."""
        uid = f"1.2.276.0.4711.{random.Random(place).randrange(10**14, 10**15)}.{len(self.words)}"
        self.words[uid] = place
        return uid

    def number(self, place: str) -> str:
        """An id of eleven digits."""
        digits = str(random.Random(place).randrange(10**10, 10**11))
        self.words[digits] = place
        return digits


def write_canary_archive(inbox: Path, profile: Profile) -> Canaries:
    """Write one delivery below ``inbox``; attributes that the profile's options retain as they are hold no canary."""
    canaries = Canaries()
    delivery = inbox / f"{canaries.new('delivery folder')} {canaries.number('delivery folder')}"
    folder = delivery / canaries.new("folder") / f"Exam_{canaries.new('folder')}"
    folder.mkdir(parents=True)
    patient = _patient(canaries)
    for number, (side, view) in enumerate(itertools.product("RL", ("CC", "MLO"))):
        mammogram = _mammogram(patient, canaries, f"{side} {view}")
        if number == 0:
            _fill(mammogram, canaries, profile)
        if number == 1:
            _fill(mammogram.AnatomicRegionSequence[0], canaries, profile)
        _save(mammogram, folder / f"{canaries.new('file name')}.dcm")
    _save(_report(patient, canaries), folder / f"sr_{canaries.new('file name')}")
    _save(_capture(patient, canaries), folder / f"{canaries.new('file name')}.DCM")
    _save(_with_comment_in_the_codestream(patient, canaries), folder / f"jpeg {canaries.new('file name')}")
    _broken(folder, patient, canaries)
    _archive(delivery, patient, canaries)
    _tables(delivery, patient, canaries)
    return canaries


def _patient(canaries: Canaries) -> dict[str, Any]:
    return {
        "PatientName": f"{canaries.new('family name')}^{canaries.new('given name')}",
        "PatientID": canaries.number("PatientID"),
        "AccessionNumber": canaries.number("AccessionNumber"),
        "StudyInstanceUID": canaries.uid("StudyInstanceUID"),
        "SeriesInstanceUID": canaries.uid("SeriesInstanceUID"),
        "ReferringPhysicianName": f"{canaries.new('referring physician')}^{canaries.new('referring physician')}^^Dr.",
        "InstitutionName": f"{canaries.new('institution')} Hospital",
        "PatientBirthDate": "19511103",
        "StudyDate": "20170412",
        "StudyTime": "101112",
        "PatientSex": "F",
    }


def _object(patient: dict[str, Any], sop_class: str, modality: str, canaries: Canaries) -> Dataset:
    dataset = Dataset()
    for keyword, value in patient.items():
        setattr(dataset, keyword, value)
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, canaries.uid(f"{modality} SOPInstanceUID")
    dataset.Modality, dataset.SpecificCharacterSet = modality, "ISO_IR 192"
    dataset.Manufacturer = "HOLOGIC, Inc."
    return dataset


def _mammogram(patient: dict[str, Any], canaries: Canaries, marker: str) -> Dataset:
    dataset = _object(patient, MG, "MG", canaries)
    dataset.PresentationIntentType, dataset.ImageLaterality, dataset.ViewPosition = "FOR PRESENTATION", *marker.split()
    dataset.ImageType, dataset.BurnedInAnnotation, dataset.BodyPartExamined = ["ORIGINAL", "PRIMARY"], "NO", "BREAST"
    dataset.SeriesDescription = f"{marker} {canaries.new('SeriesDescription')}"
    dataset.StudyDescription = f"Screening {patient['PatientName'].split('^')[0]} {canaries.new('StudyDescription')}"
    dataset.ImageComments = f"{canaries.new('ImageComments')} called on {canaries.number('ImageComments')}"
    region = Dataset()
    region.CodeValue, region.CodingSchemeDesignator, region.CodeMeaning = "76752008", "SCT", "Breast"
    dataset.AnatomicRegionSequence = Sequence([region])
    dataset.add_new(0x00290010, "LO", canaries.new("private creator"))
    dataset.add_new(0x00291001, "LO", canaries.new("private element"))
    _draw(dataset, [marker, canaries.new("burned-in text"), canaries.number("burned-in text")], canaries)
    return dataset


def _draw(dataset: Dataset, lines: list[str], canaries: Canaries, size: tuple[int, int] = (1000, 800)) -> None:
    """A bright half disc on black, and lines of text on the black."""
    rows, columns = np.mgrid[: size[0], : size[1]]
    disc = np.hypot((rows - size[0] / 2) / size[0], columns / (0.55 * size[1])) < 0.45
    pixels = np.where(disc, 1500 + 300 * np.sin(rows / 37) * np.cos(columns / 23), 0).astype(np.uint16)
    for number, line in enumerate(lines):
        place = (int(0.5 * size[1]), 60 + 50 * number)
        ink = np.zeros(size, np.uint8)
        cv2.putText(ink, line, place, cv2.FONT_HERSHEY_SIMPLEX, 1.0, 255, 2, cv2.LINE_AA)
        pixels = np.maximum(pixels, ink.astype(np.uint16) * 15)
        canaries.pixels.update(word for word in line.split() if word in canaries.words)
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns = size
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.add_new(0x7FE00010, "OW", pixels.tobytes())


def _fill(item: Dataset, canaries: Canaries, profile: Profile) -> None:
    """A canary in every text-like attribute and UID of Table E.1-1 that the profile does not retain as it is."""
    with quiet():
        for tag in concrete_tags():
            rule, decision = rule_of(tag), profile.decide(tag)
            assert rule is not None
            assert decision is not None
            if tag >> 16 <= 6 or tag in _OF_THE_OBJECT or tag in item or decision.action == "K":
                continue
            if rule.vr in _TEXT_VRS:
                word = canaries.new(f"{tag:08X}")
                item[tag] = DataElement(tag, rule.vr, word.upper() if rule.vr == "CS" else word)
            elif rule.vr == "UI":
                item[tag] = DataElement(tag, "UI", canaries.uid(f"{tag:08X}"))


def _report(patient: dict[str, Any], canaries: Canaries) -> Dataset:
    dataset = _object(patient, SR, "SR", canaries)
    dataset.ContentDate, dataset.ContentTime = "20170412", "101113"
    dataset.CompletionFlag, dataset.VerificationFlag = "COMPLETE", "VERIFIED"

    def item(value_type: str, code: str, meaning: str, **values: Any) -> Dataset:
        content, name = Dataset(), Dataset()
        name.CodeValue, name.CodingSchemeDesignator, name.CodeMeaning = code, "DCM", meaning
        content.RelationshipType, content.ValueType = "CONTAINS", value_type
        content.ConceptNameCodeSequence = Sequence([name])
        for keyword, value in values.items():
            setattr(content, keyword, value)
        return content

    narrative = (
        f"Patient {canaries.new('SR text')} was seen by Dr. {canaries.new('SR text')} of "
        f"{canaries.new('SR text')} Hospital, MRN {canaries.number('SR text')}. Breasts are heterogeneously dense."
    )
    observer = f"{canaries.new('SR observer')}^{canaries.new('SR observer')}"
    dataset.ValueType = "CONTAINER"
    dataset.ContentSequence = Sequence(
        [
            item("TEXT", "121071", "Finding", TextValue=narrative),
            item("PNAME", "121008", "Person Observer Name", PersonName=observer),
            item("UIDREF", "110180", "Study Instance UID", UID=canaries.uid("SR UIDREF")),
        ]
    )
    return dataset


def _capture(patient: dict[str, Any], canaries: Canaries) -> Dataset:
    dataset = _object(patient, SECONDARY_CAPTURE, "OT", canaries)
    dataset.ConversionType = "WSD"
    lines = [canaries.new("captured text"), canaries.new("captured text"), canaries.number("captured text")]
    _draw(dataset, lines, canaries, (500, 800))
    return dataset


def _with_comment_in_the_codestream(patient: dict[str, Any], canaries: Canaries) -> Dataset:
    import imagecodecs

    dataset = _mammogram(patient, canaries, "R CC")
    _draw(dataset, [], canaries)
    pixels = np.frombuffer(dataset.PixelData, np.uint16).reshape(dataset.Rows, dataset.Columns)
    frame = imagecodecs.ljpeg_encode(pixels, bitspersample=12)
    comment = canaries.new("JPEG comment").encode()
    frame = frame[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + frame[2:]
    del dataset[0x7FE00010]
    dataset.PixelData = encapsulate([frame])
    dataset["PixelData"].VR = "OB"
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = JPEGLosslessSV1
    return dataset


def _save(dataset: Dataset, path: Path) -> Path:
    syntax = getattr(getattr(dataset, "file_meta", None), "TransferSyntaxUID", ExplicitVRLittleEndian)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.preamble = b"\0" * 128
    with quiet():
        dataset.save_as(path, enforce_file_format=True)
    return path


def _broken(folder: Path, patient: dict[str, Any], canaries: Canaries) -> None:
    """Files that fail: cut off, of noise, of pixels that cannot be decoded, and no DICOM at all."""
    whole = _save(_mammogram(patient, canaries, "L CC"), folder / "whole").read_bytes()
    (folder / "whole").unlink()
    (folder / f"{canaries.new('cut file')}.dcm").write_bytes(whole[: len(whole) // 3])
    short = _mammogram(patient, canaries, "L CC")
    short[0x7FE00010] = DataElement(0x7FE00010, "OW", b"\1\0" * 50)
    _save(short, folder / f"{canaries.new('file of few pixels')}.dcm")
    (folder / f"{canaries.new('note')}.txt").write_text(f"call {canaries.new('note')} at {canaries.number('note')}")
    noise = np.random.default_rng(1).integers(0, 256, 4096, dtype=np.uint8).tobytes()
    (folder / f"{canaries.new('noise')}.dcm").write_bytes(bytes(128) + b"DICM" + noise)


def _archive(delivery: Path, patient: dict[str, Any], canaries: Canaries) -> None:
    inner = _save(_mammogram(patient, canaries, "L MLO"), delivery / "inner")
    with zipfile.ZipFile(delivery / f"{canaries.new('archive')}.zip", "w") as archive:
        archive.write(inner, f"{canaries.new('member')}/{canaries.new('member')}.dcm")
        archive.writestr(f"../{canaries.new('member that leads out')}", canaries.new("member content"))
    inner.unlink()


def _tables(delivery: Path, patient: dict[str, Any], canaries: Canaries) -> None:
    family = str(patient["PatientName"]).split("^")[0]
    text = (
        f"{family} was referred by Dr. {canaries.new('report')}. Phone {canaries.number('report')}. "
        f"Compared with the mammogram at {canaries.new('report')} Clinic. "
        "Scattered fibroglandular densities, BI-RADS 2."
    )
    stray = f"Reported by {canaries.new('report without study')} {canaries.new('report without study')}, MD. Dense."
    rows = [
        f'{patient["AccessionNumber"]},"{text}",{canaries.new("report column")}',
        f'{canaries.number("unknown accession")},"{stray}",',
    ]
    (delivery / "reports.csv").write_text("accession_number,report_text,radiologist\n" + "\n".join(rows) + "\n")
    labels = (
        f"{patient['PatientID']},L,MLO,B,{canaries.new('reader')}",
        f"{canaries.number('unknown patient')},R,CC,{canaries.new('density')},{canaries.new('reader')}",
    )
    (delivery / "labels.csv").write_text("patient_id,laterality,view,density,reader\n" + "\n".join(labels) + "\n")
