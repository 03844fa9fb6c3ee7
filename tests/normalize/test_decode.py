"""Stored values: every transfer syntax against the encoder's input or dcmtk's decoder; lies and cuts give a reason."""

import contextlib
import shutil
import subprocess
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom import uid
from pydicom.encaps import encapsulate

from pipelines.normalize.codestream import CodestreamError, read_codestream
from pipelines.normalize.decode import DecodeError, decode, pixel_sha256, read_object
from tests.normalize.drawing import draw_breast, wrap

dcmtk = pytest.mark.skipif(shutil.which("dcmcjpeg") is None, reason="dcmtk is not installed")


def noisy(bits: int, signed: bool = False, shape: tuple[int, int] = (61, 47)) -> np.ndarray:
    """Values that use the whole range of the bits."""
    rng = np.random.default_rng(bits)
    low = -(1 << (bits - 1)) if signed else 0
    values = rng.integers(low, low + (1 << bits), shape)
    values[0, :2] = low, low + (1 << bits) - 1
    kind = np.int16 if signed else (np.uint8 if bits <= 8 else np.uint16)
    return values.astype(kind)


def encoded(dataset: pydicom.Dataset, frame: bytes, syntax: str) -> pydicom.Dataset:
    dataset.PixelData = encapsulate([frame])
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = syntax
    return dataset


def through(dataset: pydicom.Dataset, tmp_path: Path, *command: str) -> Path:
    """The file after a dcmtk tool."""
    source, target = tmp_path / "source.dcm", tmp_path / "target.dcm"
    dataset.save_as(source, enforce_file_format=True)
    subprocess.run([*command, str(source), str(target)], check=True, capture_output=True)
    return target


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
@pytest.mark.parametrize("bits", [8, 12, 16])
def test_big_endian_is_bit_exact(bits: int, tmp_path: Path) -> None:
    values = noisy(bits, shape=(61, 48))
    np.testing.assert_array_equal(
        decode(read_object(through(wrap(values, bits=bits), tmp_path, "dcmconv", "+tb"))), values
    )


@dcmtk
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize(
    "command",
    [("dcmcjpeg", "+e1"), *[("dcmcjpeg", "+el", "+sv", str(n)) for n in (2, 7)], ("dcmcjpls", "+el"), ("dcmcrle",)],
    ids=" ".join,
)
def test_lossless_compression_is_bit_exact(command: tuple[str, ...], bits: int, signed: bool, tmp_path: Path) -> None:
    values = noisy(bits, signed)
    np.testing.assert_array_equal(decode(read_object(through(wrap(values, bits=bits), tmp_path, *command))), values)


@dcmtk
@pytest.mark.parametrize(
    ("encoder", "decoder", "bits"),
    [
        (("dcmcjpeg", "+eb", "+q", "80"), "dcmdjpeg", 8),
        (("dcmcjpeg", "+ee", "+q", "80"), "dcmdjpeg", 12),
        (("dcmcjpls", "+en", "+md", "3"), "dcmdjpls", 12),
        (("dcmcjpls", "+en", "+md", "3"), "dcmdjpls", 16),
    ],
)
def test_lossy_compression_is_decoded_as_dcmtk_does(
    encoder: tuple[str, ...], decoder: str, bits: int, tmp_path: Path
) -> None:
    values = draw_breast(120, 96, bits=bits).astype(np.uint8 if bits == 8 else np.uint16)
    compressed = through(wrap(values, bits=bits), tmp_path, *encoder)
    subprocess.run([decoder, str(compressed), str(tmp_path / "plain.dcm")], check=True, capture_output=True)
    expected = pydicom.dcmread(tmp_path / "plain.dcm").pixel_array
    found = decode(read_object(compressed))
    assert np.abs(found.astype(int) - values).max() > 0
    np.testing.assert_allclose(found.astype(int), expected.astype(int), atol=1)


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_jpeg_2000_and_htj2k_lossless_are_bit_exact(bits: int) -> None:
    values = noisy(bits)
    for syntax, encode in (
        (uid.JPEG2000Lossless, imagecodecs.jpeg2k_encode),
        (uid.HTJ2KLossless, imagecodecs.htj2k_encode),
    ):
        keyword = {"level": 0, "codecformat": "j2k"} if encode is imagecodecs.jpeg2k_encode else {}
        dataset = encoded(wrap(values, bits=bits), encode(values, **keyword), syntax)
        np.testing.assert_array_equal(decode(dataset), values)


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


@dcmtk
def test_transfer_syntax_that_lies_is_mended_by_the_codestream(tmp_path: Path) -> None:
    values = noisy(12)
    dataset = read_object(through(wrap(values), tmp_path, "dcmcjpls", "+el"))
    for wrong in (uid.JPEGLosslessSV1, uid.JPEG2000Lossless, uid.ExplicitVRLittleEndian):
        dataset.file_meta.TransferSyntaxUID = wrong
        np.testing.assert_array_equal(decode(dataset), values)


def test_pixel_digest_depends_on_values_alone(tmp_path: Path) -> None:
    values = noisy(8)
    assert pixel_sha256(values) == pixel_sha256(values.astype(np.int16)) == pixel_sha256(values.astype(np.uint16))
    assert pixel_sha256(values) != pixel_sha256(values.reshape(-1, 1))
    changed = values.copy()
    changed[-1, -1] ^= 1
    assert pixel_sha256(values) != pixel_sha256(changed)


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
        ({"SamplesPerPixel": 3}, "not_grayscale"),
    ],
)
def test_header_that_lies_gives_a_reason(elements: dict[str, int], reason: str) -> None:
    with pytest.raises(DecodeError) as error:
        decode(wrap(noisy(12), **elements))
    assert error.value.reason == reason
    assert str(error.value) == reason


@dcmtk
@pytest.mark.parametrize(
    "command", [("dcmcjpeg", "+e1"), ("dcmcjpls", "+el"), ("dcmcrle",), ("dcmcjpeg", "+ee")], ids=" ".join
)
def test_cut_and_lying_codestreams_give_a_reason(command: tuple[str, ...], tmp_path: Path) -> None:
    dataset = read_object(through(wrap(noisy(12)), tmp_path, *command))
    whole = dataset.PixelData
    dataset.Rows = 60000
    with pytest.raises(DecodeError, match=r"size_mismatch|damaged_pixels"):
        decode(dataset)
    dataset.Rows = 61
    for cut in (len(whole) // 2, 30, 9):
        dataset.PixelData = whole[:cut]
        with pytest.raises(DecodeError, match=r"truncated_pixels|damaged_pixels|unsupported_syntax"):
            decode(dataset)
    dataset.PixelData = whole[:40] + b"\x5a" * 200 + whole[240:]
    with contextlib.suppress(DecodeError):  # damage in the middle may decode or not, but is no other exception
        assert decode(dataset).shape == (61, 47)


def test_no_pixels_no_file(tmp_path: Path) -> None:
    dataset = wrap(noisy(12))
    del dataset.PixelData
    with pytest.raises(DecodeError, match=r"^no_pixels$"):
        decode(dataset)
    with pytest.raises(DecodeError, match=r"^missing_file$"):
        read_object(tmp_path / "absent.dcm")


def test_codestream_markers_are_read() -> None:
    stream = read_codestream(imagecodecs.jpegls_encode(noisy(12)))
    assert (stream.kind, stream.rows, stream.columns, stream.samples, stream.ends) == ("jpeg_ls", 61, 47, 1, True)
    for junk in (
        b"",
        b"\xff\xd8",
        b"\xff\xd8\xff\xc0\x00",
        b"\xff\xd8\xff\xe0\x00\x00" * 9,
        b"\xff\x4f\xff\x51\x00",
        b"GIF89a",
    ):
        with pytest.raises(CodestreamError):
            read_codestream(junk)


@dcmtk
def test_real_files_decode_to_dcmtks_values(shared: Path, tmp_path: Path) -> None:
    """All grayscale pictures among the real files that dcmtk can read decode here too, to the same values."""
    compared = 0
    for path in sorted((shared / "data").glob("dicom-*/*")):
        if path.suffix == ".txt" or "rsna" in path.name or path.name == "ge_essential_2.25.2626.dcm":
            continue  # large ones of a syntax that others have too
        dataset = read_object(path)
        expected = dcmtks_values(path, dataset, tmp_path / "plain.dcm")
        if expected is None:
            continue
        found = decode(dataset)
        assert found.shape == expected.shape, path.name
        lossy = dataset.file_meta.get("TransferSyntaxUID") in (uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit)
        assert np.abs(found.astype(int) - expected.astype(int)).max() <= (1 if lossy else 0), path.name
        compared += 1
    assert compared >= 30


def dcmtks_values(path: Path, dataset: pydicom.Dataset, plain: Path) -> np.ndarray | None:
    """The first frame's stored values by dcmtk's decoders and numpy, or None where the file is none for them."""
    if (
        not dataset.get("PixelData")
        or dataset.get("SamplesPerPixel") != 1
        or dataset.get("BitsAllocated") not in (8, 16)
    ):
        return None
    for tool in ("dcmdjpeg", "dcmdjpls", "dcmdrle"):
        if subprocess.run([tool, str(path), str(plain)], capture_output=True).returncode == 0:
            break
    else:
        return None
    decoded = pydicom.dcmread(plain, force=True)
    syntax = decoded.file_meta.get("TransferSyntaxUID", uid.ImplicitVRLittleEndian)
    if not uid.UID(syntax).is_little_endian or uid.UID(syntax).is_encapsulated:
        return None
    kind = ("i" if decoded.PixelRepresentation else "u") + str(decoded.BitsAllocated // 8)
    shape = (decoded.Rows, decoded.Columns)
    if decoded.BitsStored < decoded.BitsAllocated and decoded.PixelRepresentation:
        return None
    return np.frombuffer(decoded.PixelData, "<" + kind)[: shape[0] * shape[1]].reshape(shape)
