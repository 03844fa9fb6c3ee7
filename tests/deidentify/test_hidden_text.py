"""A word put where no text belongs: behind pictures, among numbers, in UIDs and codes, between characters unseen."""

import struct
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.pixels.encoders import RLELosslessEncoder
from pydicom.tag import Tag
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, JPEGLosslessSV1, RLELossless

from pipelines.deidentify.binary_text import holds_text, without_icc_texts
from pipelines.deidentify.elements import is_standard_uid
from pipelines.deidentify.policies import visible
from pipelines.deidentify.profile import Profile
from pipelines.deidentify.refusals import RefusedError
from tests.deidentify.conftest import mammogram

WORD = b"Zqovimtaru"
TEXT = b"Patient Zqovimtaru 77 "
Run = Callable[..., Dataset]


@pytest.fixture
def bare(deidentified: Run, headers_only: Profile) -> Run:
    return lambda dataset, **more: deidentified(dataset, profile=headers_only, **more)


def with_raw(dataset: Dataset, tag: int, vr: str, value: bytes) -> Dataset:
    dataset._dict[Tag(tag)] = RawDataElement(Tag(tag), vr, len(value), value, 0, False, True)
    return dataset


def written(dataset: Dataset) -> bytes:
    return Path(str(dataset.filename)).read_bytes()


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
def test_native_pixel_data_ends_with_the_picture(bare: Run, syntax: Any) -> None:
    dataset = mammogram()
    pixels = dataset.PixelData
    dataset.PixelData = pixels + TEXT
    assert bare(dataset, syntax=syntax).PixelData == pixels


@pytest.mark.parametrize(("tag", "vr", "bits"), [(0x7FE00008, "OF", 32), (0x7FE00009, "OD", 64)])
def test_float_pixel_data_ends_with_the_picture(bare: Run, tag: int, vr: str, bits: int) -> None:
    dataset = mammogram(BitsAllocated=bits)
    del dataset.PixelData
    dataset.add_new(tag, vr, bytes(12 * 10 * bits // 8) + TEXT + b"!!")
    assert bare(dataset)[tag].value == bytes(12 * 10 * bits // 8)


@pytest.mark.parametrize(
    ("changes", "length"),
    [
        ({"NumberOfFrames": "3"}, 720),
        ({"BitsAllocated": 8, "Rows": 11, "Columns": 3}, 34),
        ({"BitsAllocated": 1, "Rows": 3, "Columns": 3}, 2),
        ({"SamplesPerPixel": 3, "BitsAllocated": 8, "PhotometricInterpretation": "RGB"}, 360),
        ({"SamplesPerPixel": 3, "BitsAllocated": 8, "PhotometricInterpretation": "YBR_FULL_422"}, 240),
    ],
)
def test_the_length_of_a_picture(bare: Run, changes: dict[str, Any], length: int) -> None:
    dataset = mammogram(**changes)
    dataset.PixelData = bytes(length) + TEXT
    assert len(bare(dataset).PixelData) == length


def test_pixel_data_without_description_is_refused(bare: Run) -> None:
    dataset = mammogram()
    del dataset.Rows
    with pytest.raises(RefusedError, match="pixels_not_described"):
        bare(dataset)


def rle(array: np.ndarray) -> bytes:
    return bytes(
        RLELosslessEncoder.encode(
            array, rows=12, columns=10, samples_per_pixel=1, bits_allocated=16, bits_stored=12,
            pixel_representation=0, number_of_frames=1, photometric_interpretation="MONOCHROME2",
        )
    )  # fmt: skip


FRAME = rle(np.arange(120, dtype=np.uint16).reshape(12, 10))


def encapsulated(fragments: list[bytes], table: bytes = b"") -> Dataset:
    items = [table, *(each + b"\0" * (len(each) % 2) for each in fragments)]
    dataset = mammogram()
    dataset.PixelData = b"".join(b"\xfe\xff\x00\xe0" + struct.pack("<I", len(each)) + each for each in items)
    dataset["PixelData"].VR, dataset["PixelData"].is_undefined_length = "OB", True
    return dataset


def between_segments() -> bytes:
    number, first, second = struct.unpack("<3I", FRAME[:12])
    assert number == 2
    header = struct.pack("<3I", 2, 64, second + len(TEXT)) + bytes(52)
    return header + FRAME[first:second] + TEXT + FRAME[second:]


@pytest.mark.parametrize(
    "fragments",
    [
        [FRAME + TEXT],
        [FRAME, TEXT],
        [between_segments()],
        [FRAME[:12] + (TEXT * 3)[:52] + FRAME[64:]],
    ],
    ids=["behind", "second fragment", "between segments", "header"],
)
def test_rle_frames_hold_no_text(bare: Run, fragments: list[bytes]) -> None:
    dataset = encapsulated(fragments)
    assert WORD in dataset.PixelData
    result = bare(dataset, syntax=RLELossless)
    assert WORD not in written(result)
    if len(fragments) == 1:
        assert np.array_equal(result.pixel_array.ravel(), np.arange(120))


def test_rle_frames_without_text_stay_as_they_are(bare: Run) -> None:
    noise = np.random.default_rng(3).integers(0, 4096, (12, 10), dtype=np.uint16)
    for frame in (FRAME, rle(noise)):
        dataset = encapsulated([frame], struct.pack("<I", 0))
        assert bare(dataset, syntax=RLELossless).PixelData == dataset.PixelData


@pytest.mark.parametrize("table", [TEXT + b"!!", struct.pack("<2I", 0, 0x544E4150), struct.pack("<2I", 0, 0)])
def test_offsets_lead_to_fragments(bare: Run, table: bytes) -> None:
    with pytest.raises(RefusedError, match="offset_table_broken"):
        bare(encapsulated([FRAME], table), syntax=RLELossless)


def test_extended_offsets_lead_to_fragments_or_go(bare: Run) -> None:
    dataset = encapsulated([FRAME])
    length = len(FRAME) + len(FRAME) % 2
    dataset.ExtendedOffsetTable, dataset.ExtendedOffsetTableLengths = struct.pack("<Q", 0), struct.pack("<Q", length)
    assert bare(dataset, syntax=RLELossless).ExtendedOffsetTable == bytes(8)
    dataset = encapsulated([FRAME])
    dataset.ExtendedOffsetTable, dataset.ExtendedOffsetTableLengths = b"ZQOVIMTA", struct.pack("<Q", length)
    assert "ExtendedOffsetTable" not in bare(dataset, syntax=RLELossless)
    assert "ExtendedOffsetTable" not in bare(mammogram(ExtendedOffsetTable=b"ZQOVIMTA"))


def test_what_is_no_codestream_is_refused(bare: Run) -> None:
    with pytest.raises(RefusedError, match="codestream_broken"):
        bare(encapsulated([TEXT]), syntax=JPEGLosslessSV1)


@pytest.mark.parametrize(
    ("tag", "vr", "value"),
    [
        (0x00283006, "OW", TEXT), (0x00281201, "OW", TEXT), (0x00282000, "OB", TEXT), (0x00189445, "OB", TEXT),
        (0x00660016, "OF", TEXT + b"!!"), (0x00189461, "FL", TEXT + b"!!"), (0x00181622, "US", TEXT),
        (0x00283002, "US", WORD.decode().encode("utf-16-le")), (0x00209165, "AT", TEXT + b"!!"),
        (0x00283006, "OB", b"\xfe\xff\0\xe0\x1a\0\0\0\x08\0\4\1\x12\0\0\0" + TEXT),
    ],
)  # fmt: skip
def test_text_among_numbers_goes(bare: Run, tag: int, vr: str, value: bytes) -> None:
    result = bare(with_raw(mammogram(), tag, vr, value))
    assert WORD not in written(result).replace(b"\0", b"")


@pytest.mark.parametrize("step", [1, 16, 256, 257, -1, -16])
def test_tables_of_numbers_are_no_text(step: int) -> None:
    words = (np.arange(65536 // max(abs(step), 1)) * step % 65536).astype("<u2")
    assert not holds_text(words.tobytes())
    assert not holds_text(np.arange(256, dtype=np.uint8).tobytes())
    assert not holds_text(((np.linspace(0, 1, 4096) ** 0.45) * 65535).astype("<u2").tobytes())
    assert not holds_text(b"  ((,,4488@@DDLLTT\\\\ddhhpp||\1\4" * 3)  # of a segmented palette in a real object
    assert not holds_text(np.linspace(-3, 3, 5000).astype("<f4").tobytes())


@given(
    st.binary(max_size=64), st.binary(max_size=64), st.sampled_from(["kowalewska, j", "ZQOVIMTARU", "Maria Rosenthal"])
)
@settings(deadline=None, max_examples=60)
def test_text_is_found_wherever_it_stands(before: bytes, behind: bytes, text: str) -> None:
    assert holds_text(before + b"\0\1" + text.encode() + b"\xff" + behind)
    assert holds_text(before + b"\1\1" + text.encode("utf-16-le") + b"\xff" + behind)


def icc(tags: dict[bytes, bytes], gap: bytes = b"") -> bytes:
    start = 132 + 12 * len(tags)
    head = bytearray(128)
    head[36:40] = b"acsp"
    table, body = struct.pack(">I", len(tags)), gap
    for name, value in tags.items():
        table += struct.pack(">4sII", name, start + len(body), len(value))
        body += value
    return bytes(head) + table + body


def test_color_profiles_lose_their_texts() -> None:
    curve = b"curv" + bytes(4) + struct.pack(">I", 4) + struct.pack(">4H", 0, 9000, 30000, 65535)
    profile = icc({b"desc": b"text" + bytes(4) + TEXT, b"rTRC": curve}, gap=TEXT)
    clean = without_icc_texts(profile)
    assert clean is not None
    assert WORD not in clean
    assert curve in clean
    assert len(clean) == len(profile)
    assert without_icc_texts(clean) == clean
    assert without_icc_texts(TEXT * 20) is None
    assert without_icc_texts(icc({b"rTRC": b"curv" + bytes(4) + TEXT})) is None
    assert without_icc_texts(icc({b"priv": b"zzzz" + TEXT})) is None


def test_a_color_profile_of_a_kind_still_works(bare: Run) -> None:
    cms = pytest.importorskip("PIL.ImageCms")
    profile = cms.ImageCmsProfile(cms.createProfile("sRGB")).tobytes()
    clean = without_icc_texts(profile)
    assert clean is not None
    assert cms.ImageCmsProfile(BytesIO(clean)).profile.xcolor_space == "RGB "


@pytest.mark.parametrize(
    ("uid", "standard"),
    [
        ("1.2.840.10008.5.1.4.1.1.1.2", True), ("1.2.840.10008.5.1.4.1.1.9999", True),
        ("1.2.840.10008.Zqovimtaru", False), ("1.2.840.10008.1.2\0Zqovimtaru", False),
        ("1.2.840.10008.90113111118105", False), ("1.2.840.100081.5", False),
    ],
)  # fmt: skip
def test_standard_uids_are_spelled_as_such(uid: str, standard: bool) -> None:
    assert is_standard_uid(uid) is standard


@pytest.mark.parametrize(
    "uid", [b"2.25.Zqovimtaru", b"1.2.840.10008.1.2\0Zqovimtaru", b"1.2.840.10008.1.2\\Zqovimtaru "]
)
def test_no_text_stays_in_uids(bare: Run, uid: bytes) -> None:
    dataset = mammogram()
    for tag in (0x00181002, 0x0018100B, 0x0008001B, 0x00080117, 0x0008010C):
        with_raw(dataset, tag, "UI", uid + b"\0" * (len(uid) % 2))
    assert WORD not in written(bare(dataset))


@pytest.mark.parametrize("value", ["ZQOVIMTARU", "Zqovimtaru", "R_ZQOVIMTARU", "NORMAL\\ZQOVIMTARU"])
def test_codes_are_made_of_known_words(bare: Run, value: str) -> None:
    dataset = mammogram(ImageType=["ORIGINAL", "PRIMARY", *value.split("\\")], ScanOptions=value.split("\\"))
    result = bare(dataset)
    assert WORD.lower() not in written(result).lower()
    assert result.ImageType[:2] == ["ORIGINAL", "PRIMARY"]


def test_codes_of_the_standard_stay(bare: Run) -> None:
    codes = ["UIDREF", "PNAME", "SCOORD", "POLYLINE", "RTDOSE", "RTSTRUCT", "UNAPPROVED", "TSPINE", "MPADIO"]
    assert list(bare(mammogram(ScanOptions=codes)).ScanOptions) == codes


def test_a_character_set_is_one(bare: Run) -> None:
    dataset = with_raw(mammogram(), 0x00080005, "CS", b"ISO_IR 100\\Zqovimtaru ")
    assert WORD not in written(bare(dataset))


def test_a_text_is_what_is_seen() -> None:
    assert visible("R MLO") == "R MLO"
    assert visible("two\r\nlines\tmore") == "two\r\nlines\tmore"
    assert visible("Zq\u200bovi\u00admtaru") == "Zqovimtaru"
    assert visible("NORMAL\0Zqovimtaru") == "NORMAL"
    assert visible("\0Z\0q\0o") == ""
    assert visible("A\x1bB\x07C") == "A B C"


@pytest.mark.parametrize(
    "text",
    ["Zqo\u200bvimtaru", "Zqo\u00advimtaru", "NORMAL\0Zqovimtaru", "Z q o v i m t a r u", "갹뷁쉡", "ظقغخضث",
     "ザクヴモタル", "ฆฌญฎฏ", "龘靐", "צקשחגד", "Жмыхолюба", "NORMAL 갹뷁쉡, BREAST"],
)  # fmt: skip
def test_names_in_any_script_and_spelling_go(bare: Run, text: str) -> None:
    told = mammogram(SpecificCharacterSet="ISO_IR 192")
    told.add_new(0x00189908, "UC", text)
    told.add_new(0x00080108, "LT", text)
    result = bare(told)
    said = f"{result.get(0x00189908, '')} {result.get(0x00080108, '')}"
    hidden = text.removeprefix("NORMAL").removesuffix(", BREAST").strip(" \0")
    assert hidden not in said
    assert "Zqovimtaru" not in said.replace(" ", "")


def test_a_text_with_backslashes_becomes_what_the_codes_say(bare: Run) -> None:
    result = bare(mammogram(SeriesDescription=["{", "rtf1", "b Zqovimtaru}"]))
    assert WORD not in written(result)
