"""What frames say of themselves, whether all of them is there, and what no decoder should be asked to follow."""

import contextlib
import struct

import imagecodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import uid
from pydicom.encaps import encapsulate

from pipelines.normalize.codestream import CodestreamError, is_run_length, read_codestream
from pipelines.normalize.decode import DecodeError, decode
from pipelines.normalize.fragments import first_frame
from tests.normalize.compressing import encoded, noisy
from tests.normalize.drawing import draw_breast, wrap

END = b"\xff\xd9"
KINDS = {"jpeg", "jpeg_lossless", "jpeg_ls", "jpeg_2000", "htj2k"}


def j2k(values: np.ndarray) -> bytes:
    return imagecodecs.jpeg2k_encode(values, level=0, codecformat="j2k", reversible=True, bitspersample=12)


def poked(frame: bytes, place: int, layout: str, value: int) -> bytes:
    changed = bytearray(frame)
    struct.pack_into(layout, changed, place, value)
    return bytes(changed)


def test_markers_are_read() -> None:
    values = noisy(12)
    found = read_codestream(imagecodecs.jpegls_encode(values))
    assert (found.kind, found.rows, found.columns, found.samples, found.exact, found.ends) == (
        *("jpeg_ls", 61, 47, 1),
        *(True, True),
    )
    assert not read_codestream(imagecodecs.jpegls_encode(values, level=2)).exact
    found = read_codestream(imagecodecs.jpeg8_encode(values, lossless=True, bitspersample=12))
    assert (found.kind, found.precision, found.exact) == ("jpeg_lossless", 12, True)
    assert not read_codestream(imagecodecs.jpeg8_encode(values, level=90, bitspersample=12)).exact
    found = read_codestream(j2k(values.astype(np.int16)))
    assert (found.kind, found.precision, found.signed, found.exact, found.ends) == ("jpeg_2000", 12, True, True, True)
    found = read_codestream(imagecodecs.htj2k_encode(values, reversible=False, level=0.001))
    assert (found.kind, found.exact) == ("htj2k", False)


@pytest.mark.parametrize(
    "junk",
    [
        b"",
        b"\xff\xd8",
        b"\xff\xd8\xff\xc0\x00",
        b"\xff\xd8\xff\xe0\x00\x00" * 9,
        b"\xff\x4f\xff\x51\x00",
        b"\xff\x4f\xff\x51" + b"\0" * 50,
        b"GIF89a",
    ],
)
def test_junk_is_no_codestream(junk: bytes) -> None:
    with pytest.raises(CodestreamError):
        read_codestream(junk)


@given(
    st.binary(max_size=200),
    st.sampled_from(
        [b"", b"\xff\xd8", b"\xff\xd8\xff\xc3", b"\xff\xd8\xff\xf7", b"\xff\x4f\xff\x51", j2k(noisy(8))[:90]]
    ),
)
def test_any_bytes_are_a_codestream_or_an_error(data: bytes, start: bytes) -> None:
    with contextlib.suppress(CodestreamError):
        assert read_codestream(start + data).kind in KINDS
    assert is_run_length(start + data) in (True, False)


SIZ, COD = 4, 49  # where the segments' contents begin in a stream of OpenJPEG's


@pytest.mark.parametrize(
    ("place", "layout", "value"),
    [
        (SIZ + 20, ">I", 0),  # tiles without width
        (SIZ + 24, ">I", 0),
        (SIZ + 28, ">I", 1000),  # tiles that begin right of the picture
        (SIZ + 4, ">I", 0),
        (SIZ + 39, ">B", 2),  # subsampled
        (COD + 2, ">H", 65535),  # layers
        (COD + 6, ">H", 0),  # code-blocks of 4 × 4
    ],
)
def test_jpeg_2000_that_asks_for_too_much_is_refused(place: int, layout: str, value: int) -> None:
    frame = j2k(noisy(12))
    assert frame[45:47] == b"\xff\x52"
    with pytest.raises(CodestreamError):
        read_codestream(poked(frame, place, layout, value))


def test_too_many_tiles_of_jpeg_2000_are_refused() -> None:
    frame = j2k(noisy(12, shape=(70, 70)))
    with pytest.raises(CodestreamError):
        read_codestream(poked(poked(frame, SIZ + 20, ">I", 1), SIZ + 24, ">I", 1))  # 4,900 tiles of one pixel


def test_tiny_precincts_of_jpeg_2000_are_refused() -> None:
    frame = j2k(noisy(12))
    length, levels = struct.unpack_from(">H", frame, 47)[0], frame[54]
    style = bytearray(frame[47 : 47 + length]) + b"\x11" * (levels + 1)
    style[0:2] = struct.pack(">H", len(style))
    style[2] |= 1
    with pytest.raises(CodestreamError):
        read_codestream(frame[:47] + bytes(style) + frame[47 + length :])


def test_jpeg_2000_without_all_its_bytes_does_not_end() -> None:
    frame = j2k(noisy(12))
    for cut in range(150, len(frame) - 2, 97):
        assert not read_codestream(frame[:cut]).ends
        assert not read_codestream(frame[:cut] + END).ends
    assert read_codestream(frame + b"\0\0").ends
    start = frame.index(b"\xff\x90")
    open_ended = poked(frame, start + 6, ">I", 0)  # Psot = 0: up to the end
    assert read_codestream(open_ended).ends
    assert not read_codestream(open_ended[:-2]).ends


def test_claims_that_the_bytes_cannot_hold_do_not_end() -> None:
    frame = imagecodecs.jpeg8_encode(noisy(12), lossless=True, bitspersample=12)
    size = frame.index(b"\xff\xc3") + 5
    assert read_codestream(frame).ends
    assert not read_codestream(poked(poked(frame, size, ">H", 7000), size + 2, ">H", 7000)).ends


def air_above_and_below() -> np.ndarray:
    values = np.zeros((96, 48), np.uint16)
    values[24:72] = draw_breast(48, 48)
    return values


@pytest.mark.parametrize("predictor", range(1, 8))
@pytest.mark.parametrize("bits", [12, 16])
@pytest.mark.parametrize("values", [noisy(12), air_above_and_below(), draw_breast(64, 48, air=0.1)], ids=range(3))
def test_lossless_jpeg_that_ends_early_is_told_from_a_whole_one(values: np.ndarray, bits: int, predictor: int) -> None:
    """An end marker after a cut makes the decoder fill in; whatever passes has lost at most part of its last row."""
    frame = imagecodecs.jpeg8_encode(values, lossless=True, predictor=predictor, bitspersample=bits)
    np.testing.assert_array_equal(decode(encoded(wrap(values), frame, uid.JPEGLossless)), values)
    refused = 0
    for cut in range(len(frame) - 3, frame.index(b"\xff\xda") + 12, -41):
        try:
            found = decode(encoded(wrap(values), frame[:cut] + END, uid.JPEGLossless))
        except DecodeError:
            refused += 1
            continue
        np.testing.assert_array_equal(found[:-1], values[:-1])
    assert refused > 10


def test_flat_lossless_jpeg_is_whole() -> None:
    for value in (0, 2048, 4095):
        values = np.full((61, 47), value, np.uint16)
        for predictor in range(1, 8):
            frame = imagecodecs.jpeg8_encode(values, lossless=True, predictor=predictor, bitspersample=12)
            np.testing.assert_array_equal(decode(encoded(wrap(values), frame, uid.JPEGLossless)), values)


@pytest.mark.parametrize("bits", [8, 12])
def test_dct_jpeg_that_ends_early_is_told_from_a_whole_one(bits: int) -> None:
    gray = 1 << (bits - 1)
    for last in (0, gray):  # the second ends in what the decoder itself would fill in
        values = draw_breast(96, 80, bits=bits).astype(np.uint8 if bits == 8 else np.uint16)
        values[64:] = last
        frame = imagecodecs.jpeg8_encode(values, level=90, bitspersample=bits)
        whole = decode(encoded(wrap(values, bits=bits), frame, uid.JPEGExtended12Bit))
        assert np.abs(whole[64:].astype(int) - last).max() <= 8
        refused = 0
        for cut in range(len(frame) - 3, frame.index(b"\xff\xda") + 12, -29):
            try:
                found = decode(encoded(wrap(values, bits=bits), frame[:cut] + END, uid.JPEGExtended12Bit))
            except DecodeError:
                refused += 1
                continue
            np.testing.assert_array_equal(found[:56], whole[:56])
        assert refused > 20


def test_first_frame_is_found_without_trust_in_tables() -> None:
    frames = [bytes(imagecodecs.jpegls_encode(noisy(bits))) for bits in (8, 10, 12)]
    padded = [frame + b"\0" * (len(frame) % 2) for frame in frames]
    for parts in (1, 3):
        for has_table in (True, False):
            data = encapsulate(frames, fragments_per_frame=parts, has_bot=has_table)
            assert first_frame(data, 3) == padded[0]
    single = encapsulate(frames[:1], fragments_per_frame=4)
    lying = single[:8] + struct.pack("<I", 77777) + single[12:]
    assert first_frame(lying, 1) == padded[0]
    assert first_frame(lying, 1000000) == padded[0]
    for broken in (single[:-9], single[:12], b"", b"\xfe\xff\x00\xe0\xff\xff\xff\xff"):
        with pytest.raises(ValueError):
            first_frame(broken, 1)


@given(st.binary(max_size=120), st.integers(1, 5))
def test_any_bytes_have_a_first_frame_or_an_error(data: bytes, frames: int) -> None:
    with contextlib.suppress(ValueError):
        assert len(first_frame(encapsulate([b"ab"])[:-2] + data, frames)) <= len(data) + 2
