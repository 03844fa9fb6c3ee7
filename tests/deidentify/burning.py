"""Pictures with text burned in, and objects around them, for the tests of burned-in text."""

import imagecodecs
import numpy as np
import pydicom
from PIL import Image, ImageDraw, ImageFont
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.pixels import get_encoder
from pydicom.uid import HTJ2KLossless, JPEG2000Lossless, JPEGLosslessSV1, JPEGLSLossless, RLELossless

from pipelines.deidentify.burned_in import TextBox, blank

MG = "1.2.840.10008.5.1.4.1.1.1.2"


def draw(picture: np.ndarray, text: str, top: int, left: int, height: int, value: int) -> tuple[slice, slice]:
    """Burn a text into a picture; where its ink lies."""
    font = ImageFont.load_default(height / 0.72)
    right, bottom = font.getbbox(text)[2:]
    image = Image.new("L", (int(right) + 4, int(bottom) + 4))
    ImageDraw.Draw(image).text((2, 2), text, 255, font=font)
    ink = np.asarray(image) / 255
    rows, columns = (np.flatnonzero(ink.max(axis)) for axis in (1, 0))
    ink = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    place = slice(top, top + ink.shape[0]), slice(left, left + ink.shape[1])
    under = picture[place].astype(float)
    picture[place] = (under * (1 - ink) + value * ink).astype(picture.dtype)
    return place


def breast(rows: int = 1400, columns: int = 1100, seed: int = 0) -> np.ndarray:
    """A half-disk of blurred noise with a soft edge on dark air, uint16 0…4095."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:rows, 0:columns]
    radius = ((y - rows / 2) / (0.42 * rows)) ** 2 + (x / (0.6 * columns)) ** 2
    thickness = 1 / (1 + np.exp(np.clip((radius - 1) / 0.02, -50, 50)))
    coarse = rng.normal(1800, 400, (rows // 40 + 1, columns // 40 + 1))
    tissue = np.asarray(Image.fromarray(coarse.astype(np.float32)).resize((columns, rows), Image.Resampling.BICUBIC))
    return np.clip(30 + thickness * tissue + rng.normal(0, 6, (rows, columns)), 0, 4095).astype(np.uint16)


def make(pixels: np.ndarray, **values) -> FileDataset:
    """An uncompressed object around frames of shape ([frames,] rows, columns[, 3])."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    dataset = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
    dataset._read_implicit, dataset._read_little = False, True
    dataset.set_original_encoding(False, True, "iso8859")
    dataset.SOPClassUID, dataset.Modality = MG, "MG"
    colour = pixels.shape[-1] == 3
    stack = pixels if pixels.ndim == (4 if colour else 3) else pixels[None]
    dataset.NumberOfFrames, dataset.Rows, dataset.Columns = stack.shape[:3]
    dataset.SamplesPerPixel = 3 if colour else 1
    dataset.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 8 * pixels.dtype.itemsize
    if colour:
        dataset.PlanarConfiguration = 0
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = 1 if pixels.dtype.kind == "i" else 0
    dataset.PixelData = stack.tobytes()
    dataset["PixelData"].VR = "OB" if pixels.dtype.itemsize == 1 else "OW"
    for name, value in values.items():
        setattr(dataset, name, value)
    return dataset


def covered(boxes: list[TextBox], place: tuple[slice, slice], shape: tuple[int, ...]) -> float:
    mask = np.zeros(shape[:2], bool)
    blank(mask, boxes, True)
    return float(mask[place].mean())


def within(boxes: list[TextBox], shape: tuple[int, ...]) -> np.ndarray:
    mask = np.zeros(shape[:2], bool)
    blank(mask, boxes, True)
    return mask


def lossless(name: str, frame: np.ndarray) -> bytes:
    if name == RLELossless:
        return get_encoder(RLELossless).encode(
            frame, rows=frame.shape[0], columns=frame.shape[1], number_of_frames=1, samples_per_pixel=1,
            bits_allocated=16, bits_stored=16, pixel_representation=0, photometric_interpretation="MONOCHROME2",
            pixel_keyword="PixelData",
        )  # fmt: skip
    return bytes(
        {
            JPEG2000Lossless: lambda: imagecodecs.jpeg2k_encode(frame, level=0, codecformat="j2k", reversible=True),
            HTJ2KLossless: lambda: imagecodecs.htj2k_encode(frame, reversible=True),
            JPEGLosslessSV1: lambda: imagecodecs.ljpeg_encode(frame, bitspersample=16),
            JPEGLSLossless: lambda: imagecodecs.jpegls_encode(frame, level=0),
        }[name]()
    )
