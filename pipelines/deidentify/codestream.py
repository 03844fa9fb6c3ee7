"""What a compressed frame carries beside its picture: comments, application data, boxes, bytes behind its end.

Nothing of this is needed to decode a DICOM frame (PS3.5 Annex A.4), and all of it can hold text that no header shows.
It is overwritten in place, so that lengths and offsets stay: JPEG and JPEG-LS marker segments (ITU-T T.81 B.2.4, T.87),
JPEG 2000 comments and JP2 boxes (ITU-T T.800 A.9.2 and I.2), what RLE frames (PS3.5 Annex G) hold behind and between
their segments. Headers of JFIF, Adobe and SPIFF stay: some decoders read
them. So do the names that encoders give themselves.
"""

import re
from collections.abc import Callable, Generator, Iterable, Iterator
from itertools import pairwise

Span = tuple[int, int]
"""First byte, and the byte past the last."""

_ENCODERS = re.compile(
    rb"(?:Creat(?:ed by|or):? )?(?:GDCM/)?"
    rb"(?:CharLS|GDCM|IJG|JasPer|Kakadu|LEAD Technologies(?: Inc\.?)?|libjpeg-turbo|OpenJPEG|OpenJPH)"
    rb"(?:[- ]*(?:version|ver\.?|v)?[- ]?[\d.]+)?[\0 ]*",
    re.IGNORECASE,
)
_MARKER_IN_SCAN = re.compile(rb"\xff[\xc0-\xcf\xd8-\xfe]")
_JP2_SIGNATURE = b"\0\0\0\x0cjP  "
_BEGINNINGS = (b"\xff\xd8", b"\xff\x4f\xff\x51", _JP2_SIGNATURE)
_BOXES_OF_THE_PICTURE = frozenset({b"jP  ", b"ftyp", b"jp2h", b"rreq"})
_RLE_HEADER = 64
_SOI, _EOI, _SOS, _COM = 0xD8, 0xD9, 0xDA, 0xFE
_SOC, _SOT, _SOD, _EOC, _J2K_COM = 0xFF4F, 0xFF90, 0xFF93, 0xFFD9, 0xFF64


class CodestreamError(ValueError):
    """A codestream's marker segments or boxes cannot be walked. The message holds nothing of its content."""


def hiding_places(frame: bytes) -> list[Span]:
    """Spans of a compressed frame that hold neither picture nor anything harmless; none for RLE and unknown streams.

    Raises CodestreamError where a JPEG, JPEG-LS or JPEG 2000 stream cannot be walked to its end.
    """
    if frame.startswith(b"\xff\xd8"):
        spans = _in_jpeg(frame)
    elif frame.startswith(b"\xff\x4f"):
        spans = _in_jpeg2000(frame, 0, len(frame))
    elif frame.startswith(_JP2_SIGNATURE):
        spans = _in_jp2(frame)
    else:
        return []
    return [(start, end) for start, end in spans if frame[start:end].strip(b"\0")]


def overwritten(frame: bytes) -> bytes:
    """The frame, as long as before, with zeros in its hiding places. Raises CodestreamError as ``hiding_places``."""
    spans = hiding_places(frame)
    if not spans:
        return frame
    clean = bytearray(frame)
    for start, end in spans:
        clean[start:end] = bytes(end - start)
    return bytes(clean)


def hiding_places_of_fragments(
    read: Callable[[int, int], bytes], fragments: Iterable[tuple[int, int]], *, known: bool = False
) -> Iterator[Span]:
    """Hiding places in encapsulated pixel data (PS3.5 section A.4), by position in the file.

    ``read(position, size)`` gives bytes; ``fragments`` are the fragments' positions and lengths without the offset
    table's. A frame may take several fragments: those that begin no stream go on with the one before. Raises
    CodestreamError as ``hiding_places``, and with ``known`` where the first frame is none of these streams; one frame
    is in memory at a time.
    """
    fragments = list(fragments)
    if known and not (fragments and read(fragments[0][0], len(_JP2_SIGNATURE)).startswith(_BEGINNINGS)):
        raise CodestreamError("no codestream")
    frame: list[tuple[int, int]] = []
    for position, length in fragments:
        if frame and read(position, len(_JP2_SIGNATURE)).startswith(_BEGINNINGS):
            yield from _in_fragments(read, frame)
            frame = []
        frame.append((position, length))
    yield from _in_fragments(read, frame)


def hiding_places_of_rle(
    read: Callable[[int, int], bytes], fragments: Iterable[tuple[int, int]], plane: int, frames: int
) -> Iterator[Span]:
    """Hiding places in RLE frames, one to a fragment (PS3.5 section A.4.2), by position in the file.

    ``plane`` is the number of bytes that a segment decodes to. Raises CodestreamError where a segment is no such.
    """
    for number, (position, length) in enumerate(fragments):
        data = read(position, length)
        spans = _in_rle(data, plane) if number < frames else ((0, length),)
        yield from ((position + start, position + end) for start, end in spans if data[start:end].strip(b"\0"))


def _in_rle(frame: bytes, plane: int) -> Iterator[Span]:
    if len(frame) < _RLE_HEADER:
        raise CodestreamError("cut off")
    number, *starts = (int.from_bytes(frame[at : at + 4], "little") for at in range(0, _RLE_HEADER, 4))
    if not 1 <= number < _RLE_HEADER // 4 or starts[0] != _RLE_HEADER:
        raise CodestreamError("no header of an RLE frame")
    yield 4 + 4 * number, _RLE_HEADER
    for start, end in pairwise([*starts[:number], len(frame)]):
        position, left = start, plane
        while left > 0:
            if not start <= position < min(end, len(frame)):
                raise CodestreamError("a segment shorter than its picture")
            count = frame[position]
            if count < 128:
                position, left = position + count + 2, left - count - 1
            elif count > 128:
                position, left = position + 2, left + count - 257
            else:
                position += 1
        yield from _behind(frame, position, end)


def _in_fragments(read: Callable[[int, int], bytes], fragments: list[tuple[int, int]]) -> Iterator[Span]:
    data = b"".join(read(position, length) for position, length in fragments)
    for start, end in hiding_places(data):
        passed = 0
        for position, length in fragments:
            first, last = max(start, passed), min(end, passed + length)
            if first < last:
                yield position + first - passed, position + last - passed
            passed += length


def _in_jpeg(frame: bytes) -> Iterator[Span]:
    position = 2
    while True:
        position = _marker(frame, position)
        marker = frame[position + 1]
        if marker == _EOI:
            yield from _behind(frame, position + 2, len(frame))
            return
        start, end = position + 4, position + 2 + _length(frame, position + 2)
        if end > len(frame):
            raise CodestreamError("a marker segment leads out of its frame")
        if marker == _COM:
            yield from _comment(frame, start, end)
        elif 0xE0 <= marker <= 0xEF:
            yield from _application_data(frame, marker, start, end)
        position = end
        if marker == _SOS:
            match = _MARKER_IN_SCAN.search(frame, position)
            if match is None:
                return  # cut off behind the last scan: decoders take what there is
            position = match.start()


def _marker(frame: bytes, position: int) -> int:
    """Where the next marker is: any number of fill bytes may stand before it."""
    while position + 1 < len(frame) and frame[position] == 0xFF and frame[position + 1] == 0xFF:
        position += 1
    if position + 1 >= len(frame) or frame[position] != 0xFF:
        raise CodestreamError("no marker where one must be")
    return position


def _application_data(frame: bytes, marker: int, start: int, end: int) -> Iterator[Span]:
    head = frame[start : start + 6]
    if marker == 0xE0 and head[:5] in (b"JFIF\0", b"LJIF\0"):
        yield min(start + 12, end), end  # its thumbnail
    elif marker == 0xEE and head[:5] == b"Adobe":
        yield min(start + 12, end), end
    elif marker == 0xE8 and (head == b"SPIFF\0" or head[:4] in (b"mrfx", b"\0\0\0\1")):
        yield min(start + 30, end), end
    else:
        yield start, end


def _in_jpeg2000(frame: bytes, begin: int, end: int) -> Iterator[Span]:
    position = yield from _header_of_jpeg2000(frame, begin + 2, end)
    while _two(frame, position) == _SOT:
        length = int.from_bytes(frame[position + 6 : position + 10], "big")
        yield from _header_of_jpeg2000(frame, position + 12, end)
        if length == 0:
            return  # the last tile-part goes on to the end
        if length < 14:
            raise CodestreamError("a tile-part shorter than its header")
        position += length
        if position >= end:
            return
    if _two(frame, position) != _EOC:
        raise CodestreamError("no marker where one must be")
    yield from _behind(frame, position + 2, end)


def _header_of_jpeg2000(frame: bytes, position: int, end: int) -> Generator[Span, None, int]:
    """The comments of a main or tile-part header; returns where its last marker (SOT or SOD) stands."""
    while (marker := _two(frame, position)) not in (_SOT, _SOD, _EOC):
        if marker < 0xFF00:
            raise CodestreamError("no marker where one must be")
        past = position + 2 + _length(frame, position + 2)
        if past > end:
            raise CodestreamError("a marker segment leads out of its frame")
        if marker == _J2K_COM:
            yield from _comment(frame, position + 6, past)
        position = past
    return position


def _comment(frame: bytes, start: int, end: int) -> Iterator[Span]:
    if not _ENCODERS.fullmatch(frame[start:end]):
        yield start, end


def _in_jp2(frame: bytes) -> Iterator[Span]:
    position, picture = 0, False
    while position + 8 <= len(frame):
        length, kind = int.from_bytes(frame[position : position + 4], "big"), frame[position + 4 : position + 8]
        head = 8
        if length == 1:
            length, head = int.from_bytes(frame[position + 8 : position + 16], "big"), 16
        end = position + length if length else len(frame)
        if end > len(frame) or (length and length < head):
            if picture:
                break
            raise CodestreamError("a box leads out of its frame")
        if kind == b"jp2c":
            yield from _in_jpeg2000(frame, position + head, end)
            picture = True
        elif kind not in _BOXES_OF_THE_PICTURE:
            yield position + head, end
        position = end
    yield from _behind(frame, position, len(frame))


def _behind(frame: bytes, start: int, end: int) -> Iterator[Span]:
    """What stands behind the end of a stream; a single byte pads it to an even length."""
    if end - start > 1:
        yield start, end


def _length(frame: bytes, position: int) -> int:
    length = _two(frame, position)
    if length < 2:
        raise CodestreamError("a marker segment shorter than its own length")
    return length


def _two(frame: bytes, position: int) -> int:
    if position + 2 > len(frame):
        raise CodestreamError("cut off")
    return int.from_bytes(frame[position : position + 2], "big")
