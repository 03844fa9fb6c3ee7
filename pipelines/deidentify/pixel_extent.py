"""How far an object's picture reaches within its pixel data: what stands beyond is no picture, and may be anything.

Native pixel data is as long as its description says (PS3.5 section 8.1.1, PS3.3 section C.7.6.3), padded to an even
length. Encapsulated pixel data may begin with a table of offsets, and have two more as elements of their own
(PS3.5 section A.4, PS3.3 section C.7.6.3.1.8): each number in them is where a fragment begins, or how long it is.
"""

from collections.abc import Callable, Iterable
from collections.abc import Sequence as Sequenced
from itertools import pairwise
from struct import Struct

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.uid import (
    HTJ2K,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000TransferSyntaxes,
    JPEGLSTransferSyntaxes,
    JPEGTransferSyntaxes,
    RLELossless,
)

from pipelines.deidentify.codestream import (
    CodestreamError,
    Span,
    hiding_places_of_fragments,
    hiding_places_of_rle,
)
from pipelines.deidentify.elements import text_of
from pipelines.deidentify.raw_values import element_at, remove
from pipelines.deidentify.refusals import RefusedError

_FLOAT, _DOUBLE = 0x7FE00008, 0x7FE00009
_ROWS, _COLUMNS, _SAMPLES, _ALLOCATED, _FRAMES = 0x00280010, 0x00280011, 0x00280002, 0x00280100, 0x00280008
_PHOTOMETRIC = 0x00280004
_OFFSETS, _LENGTHS = 0x7FE00001, 0x7FE00002
_CODESTREAMS = frozenset(
    {*JPEGTransferSyntaxes, *JPEGLSTransferSyntaxes, *JPEG2000TransferSyntaxes, HTJ2K, HTJ2KLossless, HTJ2KLosslessRPCL}
)
"""Transfer syntaxes whose frames are codestreams of JPEG, JPEG-LS or JPEG 2000."""

_ALLOCATED_BY_TAG = {_FLOAT: 32, _DOUBLE: 64}


def described_length(dataset: Dataset, tag: int, stated: int) -> int | None:
    """The even number of bytes that native pixel data (element ``tag``) has by its description; None without one.

    ``stated`` is the length that the element says: of pictures that share chroma (4:2:2) some are written in full.
    """
    rows, columns = _number(dataset, _ROWS), _number(dataset, _COLUMNS)
    bits = _ALLOCATED_BY_TAG.get(tag) or _number(dataset, _ALLOCATED)
    samples = _number(dataset, _SAMPLES) or 1
    frames = _number(dataset, _FRAMES) or 1
    if not (rows and columns and bits):
        return None
    length = (rows * columns * samples * bits * frames + 7) // 8
    if samples == 3 and text_of(dataset, _PHOTOMETRIC).strip(" \0").endswith("_422") and stated < length:
        length = length * 2 // 3
    return length + length % 2


def hidden_in_fragments(
    read: Callable[[int, int], bytes], found: Sequenced[tuple[int, int]], dataset: Dataset, syntax: str
) -> tuple[Span, ...]:
    """What the fragments of encapsulated pixel data hold beside pictures, by position in the file.

    ``read(position, size)`` gives bytes, ``found`` are the places of the fragments, the offset table's first. Raises
    RefusedError: ``offset_table_broken``, ``codestream_broken``.
    """
    if found and not is_offset_table(read(*found[0]), found[1:]):
        raise RefusedError("offset_table_broken")
    try:
        if syntax == RLELossless:
            plane = (_number(dataset, _ROWS) or 0) * (_number(dataset, _COLUMNS) or 0)
            return tuple(hiding_places_of_rle(read, found[1:], plane, _number(dataset, _FRAMES) or 1))
        return tuple(hiding_places_of_fragments(read, found[1:], known=syntax in _CODESTREAMS))
    except CodestreamError:
        raise RefusedError("codestream_broken") from None


def is_offset_table(table: bytes, fragments: Iterable[tuple[int, int]]) -> bool:
    """Whether a basic offset table is empty, or each of its numbers is where a fragment begins, one after another.

    ``fragments`` are position and length of each one's value behind the table.
    """
    starts = [position for position, _ in fragments]
    offsets = [number for (number,) in Struct("<I").iter_unpack(table)] if not len(table) % 4 else [-1]
    beginnings = {start - starts[0] for start in starts}
    ascending = all(one < other for one, other in pairwise(offsets))
    return ascending and beginnings.issuperset(offsets)


def drop_false_offsets(dataset: Dataset, fragments: Iterable[tuple[int, int]]) -> None:
    """Remove the extended offset table and its lengths, unless they say where ``fragments`` begin and end."""
    fragments = list(fragments)
    offsets, lengths = _long_numbers(dataset, _OFFSETS), _long_numbers(dataset, _LENGTHS)
    true = [position - fragments[0][0] for position, _ in fragments]
    fits = len(lengths) == len(fragments) and all(
        size - length in (0, 1) for length, (_, size) in zip(lengths, fragments, strict=True)
    )
    if fragments and offsets == true and fits:
        return
    for tag in (_OFFSETS, _LENGTHS):
        if element_at(dataset, tag) is not None:
            remove(dataset, tag)


def _long_numbers(dataset: Dataset, tag: int) -> list[int]:
    element = element_at(dataset, tag)
    value = element.value if isinstance(element, RawDataElement) else None
    if not isinstance(value, bytes) or len(value) % 8:
        return []
    return [number for (number,) in Struct("<Q").iter_unpack(value)]


def _number(dataset: Dataset, tag: int) -> int | None:
    element = element_at(dataset, tag)
    if isinstance(element, RawDataElement) and element.VR == "US" and len(element.value or b"") == 2:
        return int.from_bytes(element.value or b"", "little" if element.is_little_endian else "big")
    text = text_of(dataset, tag).strip(" \0+")
    return int(text) if text.isdecimal() else None
