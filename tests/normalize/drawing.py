"""Mammograms drawn for the tests, with a known outline, and DICOM objects around given pixels."""

from typing import Any

import numpy as np
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset

FOR_PRESENTATION = uid.DigitalMammographyXRayImageStorageForPresentation


def draw_mask(rows: int = 1000, columns: int = 800) -> np.ndarray:
    """A breast with the chest wall on the left: half an ellipse and a nipple."""
    y, x = np.mgrid[0:rows, 0:columns]
    body = ((y - 0.5 * rows) / (0.42 * rows)) ** 2 + (x / (0.6 * columns)) ** 2 <= 1
    nipple = ((y - 0.52 * rows) / (0.02 * rows)) ** 2 + ((x - 0.6 * columns) / (0.03 * columns)) ** 2 <= 1
    return body | nipple


def draw_breast(rows: int = 1000, columns: int = 800, *, bits: int = 12, air: float = 0.0, seed: int = 0) -> np.ndarray:
    """Stored values of a drawn left breast, MONOCHROME2: tissue at 0.3…0.8 of the range, air at ``air`` of it."""
    rng = np.random.default_rng(seed)
    mask = draw_mask(rows, columns)
    y, x = np.mgrid[0:rows, 0:columns]
    depth = 1 - np.clip(((y - 0.5 * rows) / (0.42 * rows)) ** 2 + (x / (0.6 * columns)) ** 2, 0, 1)
    gland = np.exp(-(((y - 0.5 * rows) / (0.2 * rows)) ** 2) - ((x - 0.25 * columns) / (0.15 * columns)) ** 2)
    tissue = 0.3 + 0.15 * np.sqrt(depth) + 0.3 * gland + rng.normal(0, 0.01, mask.shape)
    value = np.where(mask, tissue, air + (rng.normal(0, 0.004, mask.shape) if air else 0))
    return np.clip(np.rint(value * ((1 << bits) - 1)), 0, (1 << bits) - 1).astype(np.uint16)


def wrap(pixels: np.ndarray, *, bits: int | None = None, **elements: Any) -> Dataset:
    """A screening mammogram around stored values; ``elements`` by keyword replace or add (None removes)."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = FOR_PRESENTATION
    bits = bits or (8 if pixels.itemsize == 1 else 12)
    defaults: dict[str, Any] = {
        "SOPClassUID": FOR_PRESENTATION,
        "SOPInstanceUID": "2.25.1",
        "Modality": "MG",
        "Manufacturer": "HOLOGIC, Inc.",
        "ManufacturerModelName": "Selenia Dimensions",
        "PresentationIntentType": "FOR PRESENTATION",
        "ImageType": ["DERIVED", "PRIMARY"],
        "PatientSex": "F",
        "PatientAge": "052Y",
        "ImageLaterality": "L",
        "ViewPosition": "CC",
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": pixels.shape[0],
        "Columns": pixels.shape[1],
        "BitsAllocated": pixels.itemsize * 8,
        "BitsStored": bits,
        "HighBit": bits - 1,
        "PixelRepresentation": int(pixels.dtype.kind == "i"),
        "ImagerPixelSpacing": [0.07, 0.07],
        "WindowCenter": (1 << bits) / 2,
        "WindowWidth": 1 << bits,
        "LossyImageCompression": "00",
        "BreastImplantPresent": "NO",
    }
    for keyword, value in (defaults | elements).items():
        if value is not None:
            setattr(dataset, keyword, value)
    dataset.PixelData = pixels.tobytes() + b"\0" * (pixels.nbytes % 2)
    dataset["PixelData"].VR = "OW" if pixels.itemsize == 2 else "OB"
    return dataset
