"""Stored values of uncompressed pixel data are bit-exact; headers that lie give a reason."""

from pathlib import Path

import numpy as np
import pytest
from pydicom import uid

from pipelines.normalize.decode import DecodeError, decode, pixel_digest, read_object
from tests.normalize.compressing import dcmtk, noisy, through
from tests.normalize.drawing import wrap


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize(
    "syntax", [uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian, uid.DeflatedExplicitVRLittleEndian]
)
def test_native_little_endian_is_bit_exact(bits: int, signed: bool, syntax: str, tmp_path: Path) -> None:
    values = noisy(bits, signed)
    dataset = wrap(values, bits=bits)
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    np.testing.assert_array_equal(decode(read_object(tmp_path / "a.dcm")), values)


@dcmtk
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_big_endian_is_bit_exact(bits: int, signed: bool, tmp_path: Path) -> None:
    for shape in ((61, 48), (61, 47)):
        values = noisy(bits, signed, shape)
        found = decode(read_object(through(wrap(values, bits=bits), tmp_path, "dcmconv", "+tb")))
        np.testing.assert_array_equal(found, values)
        assert found.dtype == values.dtype  # in this machine's byte order


def test_eight_bits_in_big_endian_words_are_swapped() -> None:
    """PS3.5 8.1.1: an OW value is a row of words, whatever is packed into them."""
    values = noisy(8, shape=(61, 47))
    padded = np.append(values, np.uint8(0))
    dataset = wrap(values)
    dataset.PixelData = padded.view("<u2").astype(">u2").tobytes()
    dataset["PixelData"].VR = "OW"
    dataset.file_meta.TransferSyntaxUID = uid.ExplicitVRBigEndian
    np.testing.assert_array_equal(decode(dataset), values)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.int16])
def test_native_pixels_are_not_copied(kind: type) -> None:
    values = noisy(8 if kind is np.uint8 else 12, kind is np.int16)
    dataset = wrap(values)
    found = decode(dataset)
    assert np.shares_memory(found, np.frombuffer(dataset.PixelData, kind))


def test_high_bit_and_overlay_bits_are_handled() -> None:
    values = noisy(10)
    shifted = (values << 4) | 0b1111  # stored in bits 13…4, rubbish below
    shifted |= np.uint16(0b11 << 14)  # overlay bits above
    np.testing.assert_array_equal(decode(wrap(shifted, bits=10, HighBit=13)), values)
    signed = noisy(12, signed=True)
    rubbish = (signed & 0x0FFF) | np.int16(0x5000)
    np.testing.assert_array_equal(decode(wrap(rubbish.astype(np.int16), bits=12)), signed)


def test_first_frame_of_many() -> None:
    frames = np.stack([noisy(12), noisy(14) & 0xFFF])
    dataset = wrap(frames[0])
    dataset.NumberOfFrames = 2
    dataset.PixelData = frames.tobytes()
    np.testing.assert_array_equal(decode(dataset), frames[0])


def test_pixel_digest_depends_on_values_alone(tmp_path: Path) -> None:
    values = noisy(8)
    assert pixel_digest(values) == pixel_digest(values.astype(np.int16)) == pixel_digest(values.astype(np.uint16))
    assert pixel_digest(values) != pixel_digest(values.reshape(-1, 1))
    changed = values.copy()
    changed[-1, -1] ^= 1
    assert pixel_digest(values) != pixel_digest(changed)


@pytest.mark.parametrize(
    ("elements", "reason"),
    [
        ({"Rows": 65535, "Columns": 65535}, "absurd_size"),
        ({"Rows": 0}, "no_size"),
        ({"Columns": None}, "no_size"),
        ({"Rows": 70}, "truncated_pixels"),
        ({"Rows": 10}, "size_mismatch"),
        ({"BitsStored": 17}, "unsupported_bits"),
        ({"BitsAllocated": 32}, "unsupported_bits"),
        ({"BitsStored": 12, "HighBit": 3}, "unsupported_bits"),
        ({"BitsStored": 0}, "unsupported_bits"),
        ({"BitsStored": 12, "HighBit": 16}, "unsupported_bits"),
        ({"PixelRepresentation": 7}, "unsupported_bits"),
        ({"SamplesPerPixel": 3}, "not_grayscale"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "not_grayscale"),
    ],
)
def test_header_that_lies_gives_a_reason(elements: dict[str, int], reason: str) -> None:
    with pytest.raises(DecodeError) as error:
        decode(wrap(noisy(12), **elements))
    assert error.value.reason == reason
    assert str(error.value) == reason


def test_no_pixels_no_file(tmp_path: Path) -> None:
    dataset = wrap(noisy(12))
    del dataset.PixelData
    with pytest.raises(DecodeError, match=r"^no_pixels$"):
        decode(dataset)
    with pytest.raises(DecodeError, match=r"^missing_file$"):
        read_object(tmp_path / "absent.dcm")
