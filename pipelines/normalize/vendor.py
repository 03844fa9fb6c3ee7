"""Who made the picture: a canonical manufacturer, the model, and the vendor group that shares one gray curve."""

import re

import pydicom
from pydicom import uid

from pipelines.normalize.header import text

UNKNOWN = "unknown"

_MANUFACTURERS = (
    ("HOLOGIC", "Hologic"),
    ("LORAD", "Hologic"),
    ("GE ", "GE"),
    ("GEMS", "GE"),
    ("GENERAL ELECTRIC", "GE"),
    ("SIEMENS", "Siemens"),
    ("FUJI", "Fujifilm"),
    ("PHILIPS", "Philips"),
    ("SECTRA", "Philips"),
    ("KODAK", "Carestream"),
    ("CARESTREAM", "Carestream"),
    ("GIOTTO", "IMS Giotto"),
    ("I.M.S", "IMS Giotto"),
    ("IMS ", "IMS Giotto"),
    ("PLANMED", "Planmed"),
    ("KONICA", "Konica Minolta"),
    ("AGFA", "Agfa"),
    ("FISCHER", "Fischer"),
    ("METALTRONICA", "Metaltronica"),
    ("LUMISYS", "Lumisys"),
    ("HOWTEK", "Howtek"),
)
_MODELS = (
    ("SELENIA", "Hologic"),
    ("LORAD", "Hologic"),
    ("3DIMENSIONS", "Hologic"),
    ("SENOGRAPH", "GE"),
    ("PRISTINA", "GE"),
    ("MAMMOMAT", "Siemens"),
    ("AMULET", "Fujifilm"),
    ("MICRODOSE", "Philips"),
)
_LOSSY_SYNTAXES = (uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit, uid.JPEGLSNearLossless)


def manufacturer(dataset: pydicom.Dataset) -> str:
    """Canonical name by (0008,0070), the model, or the film digitizer's maker (0018,1016); else ``unknown``."""
    for keyword in ("Manufacturer", "SecondaryCaptureDeviceManufacturer"):
        name = text(dataset, keyword).upper() + " "
        for part, canonical in _MANUFACTURERS:
            if name.startswith(part) or (len(part) > 4 and part in name):
                return canonical
    name = model(dataset).upper()
    return next((canonical for part, canonical in _MODELS if part in name), UNKNOWN)


def model(dataset: pydicom.Dataset) -> str:
    """(0008,1090) without a software version that the vendor appended to it; empty where there is none."""
    name = re.split(r"\s+(?:VERSION\b|ADS_)", text(dataset, "ManufacturerModelName"), flags=re.IGNORECASE)[0]
    return re.sub(r"[|\s]+", " ", name).strip()


def is_mammography_model(dataset: pydicom.Dataset) -> bool:
    """Whether the model's name is one of a mammography unit."""
    return any(part in model(dataset).upper() for part, _ in _MODELS)


def is_lossy(dataset: pydicom.Dataset) -> bool | None:
    """Whether it was ever compressed with loss, by (0028,2110) and the transfer syntax; None where nothing tells."""
    declared = text(dataset, "LossyImageCompression")
    syntax = getattr(dataset, "file_meta", {}).get("TransferSyntaxUID")
    if declared == "01" or syntax in _LOSSY_SYNTAXES:
        return True
    return False if declared == "00" or syntax not in (None, uid.JPEG2000, uid.HTJ2K) else None


def vendor_group(maker: str, model_name: str, intent: str | None, lossy: bool | None) -> str:
    """The group that shares a gray curve: ``manufacturer|model|intent|lossiness``."""
    return "|".join((maker, model_name or UNKNOWN, intent or UNKNOWN, "lossy" if lossy else "lossless"))
