"""Compressed pixel data: bit-exact where nothing is lost, else the values of each family's own reference decoder."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom import uid

from pipelines.normalize import decoder_plugin
from pipelines.normalize.decode import decode, pixel_digest, read_object
from tests.normalize.compressing import (
    dcmtk,
    encoded,
    gdcm,
    noisy,
    openjpeg_tools,
    openjph_tools,
    portable_graymap,
    through,
    write_graymap,
)
from tests.normalize.drawing import draw_breast, wrap

BITS = (8, 10, 12, 14, 16)

DCMTK = (
    ("dcmcjpeg", "+e1"),
    *(("dcmcjpeg", "+el", "+sv", str(n)) for n in range(1, 8)),
    ("dcmcjpls", "+el"),
    ("dcmcrle",),
)
GDCM = tuple(("gdcmconv", option) for option in ("--jpeg", "--jpegls", "--j2k", "--rle"))


@pytest.mark.parametrize("command", DCMTK, ids=" ".join)
@pytest.mark.parametrize("signed", [False, True])
@dcmtk
def test_what_dcmtk_compresses_without_loss_is_bit_exact(
    command: tuple[str, ...], signed: bool, tmp_path: Path
) -> None:
    for bits in BITS:
        values = noisy(bits, signed)
        found = decode(read_object(through(wrap(values, bits=bits), tmp_path, *command)))
        np.testing.assert_array_equal(found, values, err_msg=f"{bits} bits")
        assert found.dtype == values.dtype


@pytest.mark.parametrize("command", GDCM, ids=" ".join)
@pytest.mark.parametrize("signed", [False, True])
@gdcm
def test_what_gdcm_compresses_without_loss_is_bit_exact(command: tuple[str, ...], signed: bool, tmp_path: Path) -> None:
    for bits in BITS:
        values = noisy(bits, signed, shape=(60, 48))  # GDCM's RLE encoder refuses odd sizes
        found = decode(read_object(through(wrap(values, bits=bits), tmp_path, *command)))
        np.testing.assert_array_equal(found, values, err_msg=f"{bits} bits")


def two_complement(values: np.ndarray, bits: int) -> np.ndarray:
    """The stored bits alone, as JPEG and JPEG-LS have them, which know no sign."""
    unsigned = values.astype(np.int64) & ((1 << bits) - 1)
    return unsigned.astype(np.uint8 if bits <= 8 else np.uint16)


@pytest.mark.parametrize("predictor", range(1, 8))
def test_lossless_jpeg_of_the_stored_bits_alone(predictor: int) -> None:
    """Another encoder, whose samples have as many bits as are stored."""
    for bits in BITS:
        for signed in (False, True):
            values = noisy(bits, signed)
            frame = imagecodecs.jpeg8_encode(
                two_complement(values, bits), lossless=True, predictor=predictor, bitspersample=bits
            )
            dataset = encoded(wrap(values, bits=bits), frame, uid.JPEGLossless)
            np.testing.assert_array_equal(decode(dataset), values, err_msg=f"{bits} bits, signed {signed}")


def jpeg_2000(values: np.ndarray, bits: int) -> bytes:
    return imagecodecs.jpeg2k_encode(values, level=0, codecformat="j2k", reversible=True, bitspersample=bits)


def jp2(values: np.ndarray, bits: int) -> bytes:
    return imagecodecs.jpeg2k_encode(values, level=0, codecformat="jp2", reversible=True, bitspersample=bits)


def htj2k(values: np.ndarray, bits: int) -> bytes:
    return imagecodecs.htj2k_encode(values, reversible=True)


def jpeg_ls(values: np.ndarray, bits: int) -> bytes:
    return imagecodecs.jpegls_encode(values.view(f"u{values.itemsize}"), level=0)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize(
    ("encode", "syntax"),
    [
        (jpeg_2000, uid.JPEG2000Lossless),
        (jpeg_2000, uid.JPEG2000),
        (jp2, uid.JPEG2000Lossless),
        (htj2k, uid.HTJ2KLossless),
        (htj2k, uid.HTJ2K),
        (jpeg_ls, uid.JPEGLSLossless),
    ],
)
def test_what_imagecodecs_compresses_without_loss_is_bit_exact(
    encode: Callable[[np.ndarray, int], bytes], syntax: str, signed: bool
) -> None:
    for bits in BITS:
        values = noisy(bits, signed)
        found = decode(encoded(wrap(values, bits=bits), encode(values, bits), syntax))
        np.testing.assert_array_equal(found, values, err_msg=f"{bits} bits")
        assert found.dtype == values.dtype


@openjph_tools
@pytest.mark.parametrize("options", [("-prog_order", "RPCL"), ("-prog_order", "LRCP"), ("-tile_size", "{32,32}")])
def test_htj2k_of_its_reference_encoder_is_bit_exact(options: tuple[str, ...], tmp_path: Path) -> None:
    for bits in BITS:
        values = noisy(bits)
        source = write_graymap(tmp_path / "a.pgm", values, bits)
        command = ["ojph_compress", "-i", source, "-o", tmp_path / "a.j2c", "-reversible", "true", *options]
        subprocess.run(command, check=True, capture_output=True)
        frame = (tmp_path / "a.j2c").read_bytes()
        found = decode(encoded(wrap(values, bits=bits), frame, uid.HTJ2KLosslessRPCL))
        np.testing.assert_array_equal(found, values, err_msg=f"{bits} bits")


@openjpeg_tools
def test_tiles_of_jpeg_2000_are_put_together(tmp_path: Path) -> None:
    values = noisy(12)
    source = write_graymap(tmp_path / "a.pgm", values, 12)
    subprocess.run(
        ["opj_compress", "-i", source, "-o", tmp_path / "a.j2k", "-t", "32,32"], check=True, capture_output=True
    )
    frame = (tmp_path / "a.j2k").read_bytes()
    np.testing.assert_array_equal(decode(encoded(wrap(values), frame, uid.JPEG2000Lossless)), values)


@dcmtk
@pytest.mark.parametrize(
    ("encoder", "decoder", "bits", "tolerance"),
    [
        (("dcmcjpeg", "+eb", "+q", "80"), "dcmdjpeg", 8, 1),
        (("dcmcjpeg", "+ee", "+q", "80"), "dcmdjpeg", 12, 1),
        *((("dcmcjpls", "+en", "+md", "3"), "dcmdjpls", bits, 0) for bits in BITS),
    ],
)
def test_lossy_compression_is_decoded_as_dcmtk_does(
    encoder: tuple[str, ...], decoder: str, bits: int, tolerance: int, tmp_path: Path
) -> None:
    """DCT decoders may round differently (T.83): by one at most. Nothing passes the range that the header allows.

    Signed values are not compressed with loss (PS3.5 8.2.1, 8.2.3).
    """
    values = draw_breast(120, 96, bits=bits).astype(np.uint8 if bits == 8 else np.uint16)
    values[:2, :8] = (1 << bits) - 1
    compressed = through(wrap(values, bits=bits), tmp_path, *encoder)
    subprocess.run([decoder, str(compressed), str(tmp_path / "plain.dcm")], check=True, capture_output=True)
    plain = pydicom.dcmread(tmp_path / "plain.dcm").PixelData
    expected = np.frombuffer(plain, values.dtype, values.size).reshape(values.shape).astype(int)
    found = decode(read_object(compressed)).astype(int)
    assert np.abs(found - values).max() > 0
    np.testing.assert_allclose(found, expected.clip(0, (1 << bits) - 1), atol=tolerance)


@openjpeg_tools
@pytest.mark.parametrize("bits", BITS)
def test_lossy_jpeg_2000_is_decoded_as_openjpeg_does(bits: int, tmp_path: Path) -> None:
    values = draw_breast(120, 96, bits=bits)
    source = write_graymap(tmp_path / "a.pgm", values, bits)
    for options in (("-r", "8", "-I"), ("-r", "8")):
        subprocess.run(
            ["opj_compress", "-i", source, "-o", tmp_path / "a.j2k", *options], check=True, capture_output=True
        )
        subprocess.run(
            ["opj_decompress", "-i", tmp_path / "a.j2k", "-o", tmp_path / "b.pgm"], check=True, capture_output=True
        )
        typed = values.astype(np.uint8 if bits == 8 else np.uint16)
        found = decode(encoded(wrap(typed, bits=bits), (tmp_path / "a.j2k").read_bytes(), uid.JPEG2000))
        assert np.abs(found.astype(int) - values).max() > 0
        np.testing.assert_array_equal(found, portable_graymap(tmp_path / "b.pgm"))


@openjph_tools
@pytest.mark.parametrize("bits", BITS)
def test_lossy_htj2k_is_decoded_as_its_reference_decoder_does(bits: int, tmp_path: Path) -> None:
    values = draw_breast(120, 96, bits=bits)
    source = write_graymap(tmp_path / "a.pgm", values, bits)
    command = ["ojph_compress", "-i", source, "-o", tmp_path / "a.j2c", "-qstep", "0.01"]
    subprocess.run(command, check=True, capture_output=True)
    command = ["ojph_expand", "-i", tmp_path / "a.j2c", "-o", tmp_path / "b.pgm"]
    subprocess.run(command, check=True, capture_output=True)
    typed = values.astype(np.uint8 if bits == 8 else np.uint16)
    found = decode(encoded(wrap(typed, bits=bits), (tmp_path / "a.j2c").read_bytes(), uid.HTJ2K)).astype(int)
    assert np.abs(found - values).max() > 0
    np.testing.assert_allclose(found, portable_graymap(tmp_path / "b.pgm").astype(int), atol=1)


def test_one_picture_has_one_digest_whatever_its_syntax() -> None:
    values = noisy(12)
    digests = {pixel_digest(values), pixel_digest(decode(wrap(values)))}
    for encode in (jpeg_2000, jp2, htj2k, jpeg_ls):
        digests.add(pixel_digest(decode(encoded(wrap(values), encode(values, 12), uid.JPEG2000Lossless))))
    assert len(digests) == 1


@dcmtk
@pytest.mark.parametrize("command", DCMTK, ids=" ".join)
def test_bits_that_are_not_stored_are_cut_off_after_decompression(command: tuple[str, ...], tmp_path: Path) -> None:
    """Encoders compress whole words, overlay bits and all."""
    values = noisy(10)
    shifted = (values << 4) | np.uint16(0b11 << 14 | 0b1111)  # stored in bits 13…4, rubbish around them
    found = decode(read_object(through(wrap(shifted, bits=10, HighBit=13), tmp_path, *command)))
    np.testing.assert_array_equal(found, values)
    signed = noisy(12, signed=True)
    words = ((signed.astype(np.int32) << 2 & 0x3FFF) | 0x4001).astype(np.int16)
    found = decode(read_object(through(wrap(words, bits=12, HighBit=13), tmp_path, *command)))
    np.testing.assert_array_equal(found, signed)


def test_samples_beyond_the_stored_bits_are_clipped_where_coding_was_lossy() -> None:
    """A DCT picture has 12 bits even where 10 are stored; ringing at edges passes the range and must not wrap."""
    values = np.zeros((64, 64), np.uint16)
    values[:, 29:] = 1023
    frame = imagecodecs.jpeg8_encode(values, level=60, bitspersample=12)
    raw = imagecodecs.jpeg8_decode(frame)
    assert raw.max() > 1023
    found = decode(encoded(wrap(values, bits=10), frame, uid.JPEGExtended12Bit))
    np.testing.assert_array_equal(found, raw.clip(0, 1023))


@dcmtk
def test_transfer_syntax_that_lies_is_mended_by_the_codestream(tmp_path: Path) -> None:
    values = noisy(12)
    for command in (("dcmcjpls", "+el"), ("dcmcjpeg", "+e1"), ("dcmcrle",)):
        dataset = read_object(through(wrap(values), tmp_path, *command))
        for wrong in (uid.JPEGLosslessSV1, uid.JPEG2000Lossless, uid.RLELossless, uid.ExplicitVRLittleEndian):
            dataset.file_meta.TransferSyntaxUID = wrong
            np.testing.assert_array_equal(decode(dataset), values)


def test_uncompressed_data_under_a_compressed_syntax_are_read() -> None:
    values = noisy(12)
    dataset = wrap(values)
    dataset.file_meta.TransferSyntaxUID = uid.JPEGLosslessSV1
    np.testing.assert_array_equal(decode(dataset), values)


@dcmtk
def test_pydicom_decodes_with_the_plug_in(tmp_path: Path) -> None:
    values = noisy(12)
    decoder_plugin.register()
    decoder_plugin.register()
    for command in (("dcmcjpeg", "+e1"), ("dcmcjpls", "+el"), ("dcmcrle",)):
        dataset = pydicom.dcmread(through(wrap(values), tmp_path, *command))
        dataset.pixel_array_options(decoding_plugin=decoder_plugin.NAME)
        np.testing.assert_array_equal(dataset.pixel_array, values)
    dataset = encoded(wrap(values), jpeg_2000(values, 12), uid.JPEG2000Lossless)
    dataset.pixel_array_options(decoding_plugin=decoder_plugin.NAME)
    np.testing.assert_array_equal(dataset.pixel_array, values)
    assert not decoder_plugin.is_available(uid.MPEG2MPML)
