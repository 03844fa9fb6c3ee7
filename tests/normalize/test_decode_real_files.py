"""Every real file with pixels is decoded to the values of other decoders, or refused with a reason."""

import subprocess
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import openjpeg
import pydicom
import pytest
from pydicom import uid
from pydicom.encaps import get_frame
from pydicom.pixels import pixel_array

from pipelines.normalize.decode import DecodeError, decode, read_object
from tests.normalize.compressing import dcmtk

DCT = (uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit)
OF_DCMTK = {
    **dict.fromkeys((*DCT, uid.JPEGLossless, uid.JPEGLosslessSV1), "dcmdjpeg"),
    **dict.fromkeys((uid.JPEGLSLossless, uid.JPEGLSNearLossless), "dcmdjpls"),
}
JPEG_2000 = (uid.JPEG2000Lossless, uid.JPEG2000, uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL, uid.HTJ2K)
BROKEN = "ge_essential_DXm.1459541791X2.dcm"
"""Its frame begins with zeros; no decoder reads it."""
CUT_OFF = "pydicom-data__emri_small_jpeg_2k_lossless_too_short.dcm"
"""Its later frames are missing, for which pydicom loses the whole header; the first frame is that of the whole file."""


@dcmtk
def test_every_real_file_is_decoded_as_others_do_or_refused(shared: Path, tmp_path: Path) -> None:
    decoded: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    for path in sorted((shared / "data").glob("dicom-*/*")):
        if path.suffix == ".txt":
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            whole = path.with_name(path.name.replace("_too_short", "")) if path.name == CUT_OFF else path
            peer = pydicom.dcmread(whole, force=True)
            reason = expected_reason(peer, path.name)
            if reason is not None:
                with pytest.raises(DecodeError, match=f"^{reason}$"):
                    decode(read_object(path))
                refused[reason] += 1
                continue
            found = decode(read_object(path))
            expected, syntax = peers_values(peer, whole, tmp_path / "plain.dcm")
        assert found.shape == expected.shape, path.name
        assert found.dtype == expected.dtype.newbyteorder("="), path.name
        tolerance = 1 if syntax in DCT else 0
        assert np.abs(found.astype(np.int32) - expected.astype(np.int32)).max() <= tolerance, path.name
        decoded[syntax.name] += 1
    assert len(decoded) >= 12, decoded
    assert sum(decoded.values()) >= 50, decoded
    assert set(refused) == {"no_pixels", "not_grayscale", "unsupported_bits", "size_mismatch"}, refused


def expected_reason(peer: pydicom.Dataset, name: str) -> str | None:
    """Why an object cannot be decoded, by its header alone; None where it can."""
    if not peer.get("PixelData"):
        return "no_pixels"
    if peer.get("SamplesPerPixel") != 1 or peer.get("PhotometricInterpretation") == "PALETTE COLOR":
        return "not_grayscale"
    if peer.get("BitsAllocated") not in (8, 16):
        return "unsupported_bits"
    return "size_mismatch" if name == BROKEN else None


def peers_values(peer: pydicom.Dataset, path: Path, plain: Path) -> tuple[np.ndarray, uid.UID]:
    """The first frame's stored values by a decoder that is not the house's own, and the transfer syntax."""
    syntax = uid.UID(peer.file_meta.get("TransferSyntaxUID", uid.ImplicitVRLittleEndian))
    if syntax in JPEG_2000:
        stored = openjpeg.decode(get_frame(peer.PixelData, 0, number_of_frames=peer.get("NumberOfFrames") or 1))
        return with_sign(stored, peer), syntax
    if syntax in OF_DCMTK:
        subprocess.run([OF_DCMTK[syntax], str(path), str(plain)], check=True, capture_output=True)
        peer = pydicom.dcmread(plain)
    else:
        peer.file_meta.TransferSyntaxUID = syntax
    plugin = "pydicom" if syntax == uid.RLELossless else ""
    return pixel_array(peer, index=0, raw=True, decoding_plugin=plugin), syntax


def with_sign(stored: np.ndarray, peer: pydicom.Dataset) -> np.ndarray:
    """Values in the header's type; a stream may be unsigned where the header has two's complement."""
    bits = peer.BitsStored
    if not peer.PixelRepresentation:
        return stored.astype(f"u{peer.BitsAllocated // 8}")
    unsigned = stored.astype(np.int64) & ((1 << bits) - 1)
    return np.where(unsigned >> (bits - 1), unsigned - (1 << bits), unsigned).astype(f"i{peer.BitsAllocated // 8}")
