"""The frames of an object, as stored: read for the text detector one by one, blanked, and stored in the same encoding.

No colour or gray transformation is applied to what is stored: pixels outside the boxes come out as they went in. Frames
that were compressed with loss cannot be compressed so again without loss; they are stored uncompressed.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import pydicom
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from pipelines.deidentify.frame_bits import Bits
from pipelines.deidentify.frame_codecs import (
    CHANGED_BY_CODEC,
    DEFLATED_FRAMES,
    LOSSY,
    MAY_OVERSHOOT,
    CodecError,
    decode_frame,
    encode_frame,
)
from pipelines.deidentify.text_reading import DetectorError

MOST_PIXELS = 1 << 28
"""A frame of more pixels is refused: no detector makes such, and it would not fit in a worker's memory."""

_PIXELS, _FLOATS, _DOUBLES = 0x7FE00010, 0x7FE00008, 0x7FE00009
_OFFSETS = (0x7FE00001, 0x7FE00002, 0x7FE00003)
_NATIVE = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, "1.2.840.10008.1.2.1.99")


class _Box(Protocol):
    @property
    def top(self) -> int: ...
    @property
    def left(self) -> int: ...
    @property
    def bottom(self) -> int: ...
    @property
    def right(self) -> int: ...


@dataclass
class Frames:
    """The frames of one object. Made by ``of``; every method raises DetectorError where pixels cannot be decoded."""

    dataset: pydicom.Dataset
    tag: int
    syntax: str
    rows: int
    columns: int
    samples: int
    count: int
    bits: int
    photometric: str
    palette: np.ndarray | None = None
    encoded: list[bytes] = field(default_factory=list)
    exceeded: bool = False
    """Whether a frame that was read held anything in bits that are no part of the picture."""

    @classmethod
    def of(cls, dataset: pydicom.Dataset) -> "Frames | None":
        """The frames of an object, or None where it holds none.

        Raises DetectorError: pixels_too_large, or pixels_undecodable where the header does not describe them.
        """
        tag = next((t for t in (_PIXELS, _FLOATS, _DOUBLES) if t in dataset and dataset[t].value), None)
        if tag is None:
            return None
        try:
            frames = cls(
                dataset,
                tag,
                _syntax_of(dataset),
                int(dataset.Rows),
                int(dataset.Columns),
                int(dataset.get("SamplesPerPixel") or 1),
                int(dataset.get("NumberOfFrames") or 1),
                int(dataset.BitsAllocated),
                str(dataset.get("PhotometricInterpretation", "")),
            )
            if frames.rows * frames.columns > MOST_PIXELS:
                raise DetectorError("pixels_too_large")
            if min(frames.rows, frames.columns, frames.count) < 1 or frames.samples not in (1, 3, 4):
                raise DetectorError("pixels_undecodable")
            frames._open()
        except DetectorError:
            raise
        except Exception:  # noqa: BLE001 - pixels that the header does not describe: the object must be refused
            raise DetectorError("pixels_undecodable") from None
        return frames

    @property
    def monochrome1(self) -> bool:
        """Whether small values are bright (PS3.3 section C.7.6.3.1.2)."""
        return self.photometric == "MONOCHROME1"

    @property
    def native(self) -> bool:
        """Whether the pixel data are not encapsulated."""
        return self.syntax in _NATIVE

    def luminance(self, number: int) -> np.ndarray:
        """Frame ``number`` (from 0) as 2-D gray values: stored bits interpreted, colours averaged."""
        try:
            pixels = self._read(number)
            self.exceeded = self.exceeded or self._exceeds(pixels)
            return self._luminance_of(pixels)
        except DetectorError:
            raise
        except Exception:  # noqa: BLE001 - whatever a damaged frame does to a decoder, the object must be refused
            raise DetectorError("pixels_undecodable") from None

    def darkest(self, luminance: np.ndarray) -> int | float:
        """The value of a luminance picture's darkest pixel, in display terms."""
        value = np.nanmax(luminance) if self.monochrome1 else np.nanmin(luminance)
        return value.item()

    @property
    def spare_bits(self) -> bool:
        """Whether cells have bits that are no part of the picture."""
        return self.tag == _PIXELS and int(self.dataset.get("BitsStored") or self.bits) < self.bits

    def blank_and_store(self, boxes: Iterable[_Box]) -> None:
        """Set the boxes to the darkest value in every frame, clear bits that are no part of the picture where a frame
        that was read held anything there, and store the frames in the data set.
        """
        boxes = list(boxes)
        try:
            if self.native:
                self._blank_native(boxes)
            else:
                self._blank_encoded(boxes)
        except DetectorError:
            raise
        except Exception:  # noqa: BLE001 - a frame that cannot be stored again without its text: the object is refused
            raise DetectorError("pixels_unencodable") from None

    def _open(self) -> None:
        if self.photometric == "PALETTE COLOR" and self.samples == 1:
            self.palette = _palette_luminance(self.dataset, self.bits)
        if self.native:
            if self._native_bits() > 8 * len(self.dataset[self.tag].value):
                raise DetectorError("pixels_undecodable")
        else:
            value = self.dataset[self.tag].value
            self.encoded = list(generate_frames(value, number_of_frames=self.count))
            if len(self.encoded) != self.count:
                raise DetectorError("pixels_undecodable")

    def _native_bits(self) -> int:
        per_pixel = 2 * self.bits if self._halved else self.samples * self.bits
        return self.count * self.rows * self.columns * per_pixel

    @property
    def _halved(self) -> bool:
        """Whether two pixels share their colour (PS3.3 section C.7.6.3.1.2, YBR_FULL_422), uncompressed."""
        return self.native and self.photometric.endswith("_422") and self.samples == 3

    def _read(self, number: int) -> np.ndarray:
        if self.native:
            return self._views(self._native_bytes())[number]
        pixels = decode_frame(self.encoded[number], self.syntax, self.dataset)
        if pixels.shape[:2] != (self.rows, self.columns):
            raise DetectorError("pixels_undecodable")
        return pixels

    def _exceeds(self, pixels: np.ndarray) -> bool:
        if not self.spare_bits:
            return False
        bits = Bits.of(pixels, self.dataset)
        return bits.exceeded(pixels, slack=(1 << bits.stored) // 4 if self.syntax in MAY_OVERSHOOT else 0)

    def _native_bytes(self) -> bytes:
        data: bytes = self.dataset[self.tag].value
        return np.frombuffer(data[: len(data) // 2 * 2], ">u2").astype("<u2").tobytes() if self._swapped else data

    @property
    def _swapped(self) -> bool:
        """Whether bytes lie in big-endian words of two (PS3.5 section A.3)."""
        return self.syntax == ExplicitVRBigEndian and self.bits <= 8 and self.dataset[self.tag].VR == "OW"

    def _views(self, data: bytes | bytearray) -> list[np.ndarray]:
        """Views of the native frames of shape (rows, columns[, samples]); writable where ``data`` is.

        Single bits are unpacked, and shared colours come as (rows, columns / 2, 4): neither is a view.
        """
        shape: tuple[int, ...] = (self.count, self.rows, self.columns)
        if self.bits == 1:
            bits = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")
            return list(bits[: int(np.prod(shape))].reshape(shape))
        pixels = np.frombuffer(data, self._dtype)
        if self._halved:
            shape = (self.count, self.rows, self.columns // 2, 4)
        elif self.samples > 1 and int(self.dataset.get("PlanarConfiguration") or 0) == 1:
            planes = pixels[: int(np.prod(shape)) * self.samples].reshape(
                self.count, self.samples, self.rows, self.columns
            )
            return list(np.moveaxis(planes, 1, 3))
        elif self.samples > 1:
            shape = (*shape, self.samples)
        return list(pixels[: int(np.prod(shape))].reshape(shape))

    @property
    def _dtype(self) -> np.dtype[Any]:
        order = ">" if self.syntax == ExplicitVRBigEndian else "<"
        if self.tag != _PIXELS:
            return np.dtype(f"{order}f{4 if self.tag == _FLOATS else 8}")
        kind = "i" if int(self.dataset.get("PixelRepresentation") or 0) else "u"
        return np.dtype(f"{order}{kind}{self.bits // 8}")

    def _luminance_of(self, pixels: np.ndarray) -> np.ndarray:
        if self._halved:
            return pixels[..., :2].reshape(self.rows, self.columns)
        if pixels.ndim == 3:
            if self.photometric.startswith("YBR_FULL") and self.syntax not in CHANGED_BY_CODEC:
                return np.ascontiguousarray(pixels[..., 0])
            return pixels[..., :3].mean(axis=2, dtype=np.float32).astype(pixels.dtype)
        if self.tag != _PIXELS or self.bits == 1:
            return pixels
        values = Bits.of(pixels, self.dataset).interpreted(pixels)
        return self.palette[np.clip(values, 0, len(self.palette) - 1)] if self.palette is not None else values

    def _blank_native(self, boxes: list[_Box]) -> None:
        data = bytearray(self._native_bytes())
        views = self._views(data)
        for view in views:
            if self.bits != 1 and not view.flags.writeable:
                raise DetectorError("pixels_unencodable")
            self._blank(view, boxes)
        if self.bits == 1:
            packed = np.packbits(np.stack(views).ravel(), bitorder="little").tobytes()
            data[: len(packed)] = packed
        stored = bytes(data)
        if self._swapped:
            stored = np.frombuffer(stored, "<u2").astype(">u2").tobytes()
        self.dataset[self.tag].value = stored

    def _blank(self, pixels: np.ndarray, boxes: list[_Box]) -> None:
        """Clear the spare bits and blank the boxes of one frame, in place."""
        if self.exceeded:
            Bits.of(pixels, self.dataset).clear(pixels)
        value = self._blank_value(pixels)
        for box in boxes:
            left, right = box.left, box.right
            if self._halved:
                left, right = left // 2, -(-right // 2)
            pixels[box.top : box.bottom, left:right] = value

    def _blank_value(self, pixels: np.ndarray) -> Any:
        """The stored value that is darkest in display terms, among those of the frame or, in colour, of all."""
        if self._halved:
            return np.array([0, 0, 128, 128], pixels.dtype)
        if pixels.ndim == 3:
            ybr = self.photometric.startswith("YBR_FULL") and self.syntax not in CHANGED_BY_CODEC
            black = [0, 1 << (self.bits - 1), 1 << (self.bits - 1)] if ybr else [0, 0, 0]
            return np.array([*black, 0][: pixels.shape[2]], pixels.dtype)
        luminance = self._luminance_of(pixels)
        place = np.nanargmax(luminance) if self.monochrome1 else np.nanargmin(luminance)
        return pixels.reshape(-1)[place] if pixels.flags.c_contiguous else pixels[np.unravel_index(place, pixels.shape)]

    def _blank_encoded(self, boxes: list[_Box]) -> None:
        try:
            encoded = [self._encoded(self._blanked(number, boxes)) for number in range(self.count)]
        except CodecError:
            self._store_uncompressed(boxes)
            return
        self.dataset.PixelData = encapsulate(encoded, has_bot=self.count > 1)
        element = self.dataset["PixelData"]
        element.VR, element.is_undefined_length = "OB", True
        if self.photometric == "YBR_ICT":
            self.dataset.PhotometricInterpretation = "YBR_RCT"  # the reversible transformation takes its place
        self._drop_offsets()

    def _blanked(self, number: int, boxes: list[_Box]) -> np.ndarray:
        pixels = self._read(number).copy()
        self._blank(pixels, boxes)
        return pixels

    def _encoded(self, pixels: np.ndarray) -> bytes:
        """A frame in the object's own syntax, decoded again to be sure that nothing else changed."""
        if self.syntax in LOSSY:
            raise CodecError
        frame = encode_frame(pixels, self.syntax, self.dataset)
        if not np.array_equal(decode_frame(frame, self.syntax, self.dataset), pixels):
            raise CodecError
        return frame

    def _store_uncompressed(self, boxes: list[_Box]) -> None:
        """Store the frames, blanked, as Explicit VR Little Endian; (0028,2110) stays as it was."""
        data = bytearray()
        for number in range(self.count):
            pixels = self._blanked(number, boxes)
            if pixels.dtype.itemsize * 8 < self.bits:
                pixels = pixels.astype(f"{pixels.dtype.kind}{self.bits // 8}")
            data += pixels.astype(pixels.dtype.newbyteorder("<"), copy=False).tobytes()
        self.dataset.PixelData = bytes(data) + b"\0" * (len(data) % 2)
        element = self.dataset["PixelData"]
        element.VR, element.is_undefined_length = "OB" if self.bits <= 8 else "OW", False
        if self.samples > 1:
            self.dataset.PlanarConfiguration = 0
            if self.photometric.startswith("YBR") and self.syntax in CHANGED_BY_CODEC:
                self.dataset.PhotometricInterpretation = "RGB"
        self.dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        self._drop_offsets()

    def _drop_offsets(self) -> None:
        for tag in _OFFSETS:
            if tag in self.dataset:
                del self.dataset[tag]


def _syntax_of(dataset: pydicom.Dataset) -> str:
    """The transfer syntax, as stated or, where the file does not state one, as it was read."""
    stated = str(dataset.file_meta.get("TransferSyntaxUID", "") or "") if hasattr(dataset, "file_meta") else ""
    if stated == DEFLATED_FRAMES or (stated and pydicom.uid.UID(stated).is_encapsulated):
        return stated
    implicit, little = dataset.original_encoding
    if implicit is None:
        return stated
    if not little:
        return str(ExplicitVRBigEndian)
    return str(ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian)


def _palette_luminance(dataset: pydicom.Dataset, bits: int) -> np.ndarray:
    """Luminance, 0…65535, of every index of a palette."""
    from pydicom.pixels import apply_color_lut

    indexes = np.arange(1 << min(bits, 16), dtype=np.uint8 if bits <= 8 else np.uint16)
    colours = apply_color_lut(indexes.reshape(1, -1), dataset)[0, :, :3].astype(np.float64)
    return (colours.mean(1) * (65535 / max(colours.max(), 1.0))).astype(np.uint16)
