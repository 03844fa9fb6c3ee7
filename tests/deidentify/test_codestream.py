"""Nothing but the picture is left in a compressed frame, and the picture is the same."""

import imagecodecs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.deidentify.codestream import CodestreamError, hiding_places, overwritten

NAME = b"KOWALEWSKA^Jadwiga"
PICTURE = (np.add.outer(np.arange(64) * 31, np.arange(48) * 17) % 4096).astype(np.uint16)


def jpeg() -> bytes:
    return imagecodecs.ljpeg_encode(PICTURE, bitspersample=12)


def jpeg_ls() -> bytes:
    return imagecodecs.jpegls_encode(PICTURE)


def jpeg_baseline() -> bytes:
    return imagecodecs.jpeg8_encode((PICTURE >> 4).astype(np.uint8), level=95)


def jpeg_2000() -> bytes:
    return imagecodecs.jpeg2k_encode(PICTURE, codecformat="j2k", reversible=True)


def jp2() -> bytes:
    return imagecodecs.jpeg2k_encode(PICTURE, codecformat="jp2", reversible=True)


DECODERS = {
    jpeg: imagecodecs.ljpeg_decode,
    jpeg_ls: imagecodecs.jpegls_decode,
    jpeg_baseline: imagecodecs.jpeg8_decode,
    jpeg_2000: imagecodecs.jpeg2k_decode,
    jp2: imagecodecs.jpeg2k_decode,
}


def segment(marker: int, content: bytes) -> bytes:
    return bytes([0xFF, marker]) + (len(content) + 2).to_bytes(2, "big") + content


def box(kind: bytes, content: bytes) -> bytes:
    return (len(content) + 8).to_bytes(4, "big") + kind + content


def with_text(frame: bytes, kind: object) -> list[bytes]:
    """A frame with a name wherever its format has room for one."""
    behind = frame + NAME
    if kind in (jpeg, jpeg_ls, jpeg_baseline):
        spots = [segment(0xFE, NAME), segment(0xE1, b"Exif\0\0" + NAME), segment(0xE5, NAME)]
        spots.append(segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\2\2" + NAME))
        return [behind, *(frame[:2] + spot + frame[2:] for spot in spots)]
    if kind is jpeg_2000:
        comment = segment(0x64, b"\0\1" + NAME)
        start_of_tile = frame.index(b"\xff\x90")
        after_main_header = frame[:start_of_tile] + comment + frame[start_of_tile:]
        length = int.from_bytes(frame[start_of_tile + 6 : start_of_tile + 10], "big")
        tile = bytearray(frame[:start_of_tile] + frame[start_of_tile : start_of_tile + 12] + comment)
        tile[start_of_tile + 6 : start_of_tile + 10] = (length + len(comment)).to_bytes(4, "big")
        return [behind, after_main_header, bytes(tile) + frame[start_of_tile + 12 :]]
    return [behind, frame + box(b"xml ", b"<name>" + NAME), frame + box(b"uuid", bytes(16) + NAME)]


@pytest.mark.parametrize("kind", DECODERS, ids=lambda kind: kind.__name__)
def test_text_goes_and_the_picture_stays(kind) -> None:
    frame = kind()
    picture = DECODERS[kind](frame)
    for spoiled in with_text(frame, kind):
        assert NAME in spoiled
        clean = overwritten(spoiled)
        assert NAME not in clean
        assert len(clean) == len(spoiled)
        assert np.array_equal(DECODERS[kind](clean), picture)
        assert overwritten(clean) == clean


@pytest.mark.parametrize("kind", DECODERS, ids=lambda kind: kind.__name__)
def test_a_frame_without_text_is_not_touched(kind) -> None:
    frame = kind()
    assert overwritten(frame) is frame
    assert overwritten(frame + b"\0") == frame + b"\0"


def test_text_between_two_scans_goes() -> None:
    frame = jpeg()
    two_scans = frame[:-2] + segment(0xFE, NAME) + frame[-2:]
    assert NAME not in overwritten(two_scans)


def test_streams_of_other_kinds_are_left_alone() -> None:
    assert hiding_places(b"\1\0\0\0\x40\0\0\0" + bytes(100)) == []
    assert hiding_places(b"") == []


@pytest.mark.parametrize("kind", DECODERS, ids=lambda kind: kind.__name__)
@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_damaged_streams_are_walked_or_refused(kind, data) -> None:
    frame = bytearray(kind())
    for _ in range(data.draw(st.integers(1, 4))):
        frame[data.draw(st.integers(0, min(200, len(frame) - 1)))] = data.draw(st.integers(0, 255))
    cut = bytes(frame[: data.draw(st.integers(0, len(frame)))])
    try:
        clean = overwritten(cut)
    except CodestreamError:
        return
    assert len(clean) == len(cut)
