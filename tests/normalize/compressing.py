"""Pictures that use all of their bits, and the tools that compress DICOM objects: dcmtk, GDCM, OpenJPEG, OpenJPH."""

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate


def needs(tool: str, package: str) -> pytest.MarkDecorator:
    """A mark that skips where a tool is absent, with the Debian package that has it."""
    return pytest.mark.skipif(shutil.which(tool) is None, reason=f"{tool} (package {package}) is not installed")


dcmtk = needs("dcmcjpeg", "dcmtk")
gdcm = needs("gdcmconv", "libgdcm-tools")
openjpeg_tools = needs("opj_decompress", "libopenjp2-tools")
openjph_tools = needs("ojph_compress", "openjph-tools")


def noisy(bits: int, signed: bool = False, shape: tuple[int, int] = (61, 47)) -> np.ndarray:
    """Values that use the whole range of the bits."""
    rng = np.random.default_rng(bits)
    low = -(1 << (bits - 1)) if signed else 0
    values = rng.integers(low, low + (1 << bits), shape)
    values[0, :2] = low, low + (1 << bits) - 1
    kind = np.int16 if signed else (np.uint8 if bits <= 8 else np.uint16)
    return values.astype(kind)


def encoded(dataset: pydicom.Dataset, frame: bytes, syntax: str) -> pydicom.Dataset:
    """The object with a compressed frame in place of its pixels."""
    dataset.PixelData = encapsulate([frame])
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = syntax
    return dataset


def through(dataset: pydicom.Dataset, tmp_path: Path, *command: str) -> Path:
    """The file after a tool that takes source and target."""
    source, target = tmp_path / "source.dcm", tmp_path / "target.dcm"
    dataset.save_as(source, enforce_file_format=True)
    subprocess.run([*command, str(source), str(target)], check=True, capture_output=True)
    return target


def portable_graymap(path: Path) -> np.ndarray:
    """A binary PGM file's values (rows, columns): 8 bits, or 16 with the high byte first."""
    text = re.sub(rb"^P5\s#.*\n", b"P5\n", path.read_bytes())
    magic, columns, rows, white, values = text.split(maxsplit=4)
    if magic != b"P5":
        raise ValueError(magic)
    shape = int(rows), int(columns)
    kind = ">u2" if int(white) > 255 else "u1"
    return np.frombuffer(values[-shape[0] * shape[1] * np.dtype(kind).itemsize :], kind).reshape(shape)


def write_graymap(path: Path, values: np.ndarray, bits: int) -> Path:
    """Write unsigned values (rows, columns) as binary PGM."""
    kind = ">u2" if bits > 8 else "u1"
    header = f"P5\n{values.shape[1]} {values.shape[0]}\n{(1 << bits) - 1}\n".encode()
    path.write_bytes(header + values.astype(kind).tobytes())
    return path
