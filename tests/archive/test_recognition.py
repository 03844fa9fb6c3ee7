"""DICOM is recognized by content in every encoding, and only whole files pass."""

import io
import struct
import zlib

import pydicom
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian, JPEG2000Lossless

from pipelines.archive.headers import read_header
from pipelines.archive.structure import EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE


def header_of(path):
    return read_header(path, path.stat().st_size)


def data_set_bytes(path) -> bytes:
    """The bytes after the file meta group, as (0002,0000) states."""
    raw = path.read_bytes()
    return raw[144 + struct.unpack_from("<I", raw, 140)[0] :]


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian])
def test_every_encoding_is_read(tmp_path, write_image, syntax):
    path = tmp_path / "image"
    plain = pydicom.dcmread(write_image(tmp_path / "plain"))
    plain.file_meta.TransferSyntaxUID = syntax
    fresh = pydicom.Dataset({e.tag: e for e in plain})
    fresh.file_meta = plain.file_meta
    fresh.save_as(path, enforce_file_format=True)
    header = header_of(path)
    assert (header.kind, header.reason) == ("dicom", None)
    assert header.columns["transfer_syntax_uid"] == syntax
    assert header.columns["patient_id"] == "PID-77"


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, "1.2.840.10008.1.2.1"])
def test_a_bare_data_set_is_recognized_with_its_encoding(tmp_path, write_image, syntax):
    syntax = pydicom.uid.UID(syntax)
    plain = pydicom.dcmread(write_image(tmp_path / "plain"))
    buffer = pydicom.filebase.DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = syntax.is_implicit_VR, syntax.is_little_endian
    pydicom.filewriter.write_dataset(buffer, pydicom.Dataset({e.tag: e for e in plain}))
    path = tmp_path / "bare"
    path.write_bytes(buffer.getvalue())
    header = header_of(path)
    assert (header.kind, header.reason) == ("dicom", None)
    assert header.columns["transfer_syntax_uid"] == {
        ImplicitVRLittleEndian: IMPLICIT_LITTLE,
        ExplicitVRBigEndian: EXPLICIT_BIG,
    }.get(syntax, EXPLICIT_LITTLE)
    assert header.columns["sop_instance_uid"] == "1.2.3.4"


def test_file_meta_without_preamble_is_recognized(tmp_path, write_image):
    raw = write_image(tmp_path / "plain").read_bytes()
    path = tmp_path / "bare"
    path.write_bytes(raw[132:])
    assert header_of(path).columns["patient_id"] == "PID-77"


@pytest.mark.parametrize(
    "content",
    [b"Hello world, this is a text of some length that is no image.\n" * 20, b"\x89PNG\r\n\x1a\n" + bytes(300),
     bytes(1000), b"\0", b"\x08\0", b"\xff" * 200, b"DICM", bytes(range(256)) * 4],
)  # fmt: skip
def test_other_content_is_not_dicom(tmp_path, content):
    path = tmp_path / "x"
    path.write_bytes(content)
    assert header_of(path) is None


def test_a_file_cut_anywhere_is_truncated(tmp_path, write_image):
    raw = write_image(tmp_path / "whole").read_bytes()
    path = tmp_path / "cut"
    boundaries = 0
    for length in range(133, len(raw), 7):
        path.write_bytes(raw[:length])
        header = header_of(path)
        assert header is None or header.kind == "dicom"
        if header is not None and header.reason is None:
            boundaries += 1  # a cut between two elements before the pixel data cannot be told from a file without them
        else:
            assert header is None or header.reason in ("truncated", "no_data_set")
    assert boundaries <= 6
    path.write_bytes(raw[:-1])
    assert header_of(path).reason == "truncated"
    assert header_of(path).columns["patient_id"] == "PID-77"


def test_encapsulated_pixels_without_their_end_are_truncated(tmp_path, write_image):
    image = pydicom.dcmread(write_image(tmp_path / "plain"))
    image.file_meta.TransferSyntaxUID = JPEG2000Lossless
    image.PixelData = encapsulate([b"\xff\x4f" + bytes(500), bytes(300)])
    image["PixelData"].is_undefined_length = True
    path = tmp_path / "encapsulated"
    image.save_as(path)
    assert header_of(path).reason is None
    raw = path.read_bytes()
    assert raw.endswith(b"\xfe\xff\xdd\xe0\0\0\0\0")
    for cut in (8, 100, 400):
        path.write_bytes(raw[:-cut])
        assert header_of(path).reason == "truncated"


def test_a_cut_or_boundless_deflated_data_set_is_refused(tmp_path, write_image, monkeypatch):
    plain = pydicom.dcmread(write_image(tmp_path / "plain", PatientComments="x" * 5000))
    plain.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    path = tmp_path / "deflated"
    plain.save_as(path)
    raw = path.read_bytes()
    path.write_bytes(raw[:-100])
    assert header_of(path).reason == "truncated"
    path.write_bytes(raw)
    monkeypatch.setattr("pipelines.archive.structure.MAXIMUM_INFLATED", 4000)
    assert header_of(path).reason == "deflate_too_large"


def test_meta_without_a_data_set_and_trailing_zeros(tmp_path, write_image):
    raw = write_image(tmp_path / "plain").read_bytes()
    path = tmp_path / "x"
    path.write_bytes(raw[: 144 + struct.unpack_from("<I", raw, 140)[0]])
    assert header_of(path).reason == "no_data_set"
    for zeros in (1, 4, 100):
        path.write_bytes(raw + bytes(zeros))
        assert header_of(path).reason is None, zeros


def test_endless_nesting_is_refused(tmp_path, write_image):
    item = b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
    sequence = b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff"
    raw = write_image(tmp_path / "plain").read_bytes()
    start = 144 + struct.unpack_from("<I", raw, 140)[0]
    path = tmp_path / "nested"
    path.write_bytes(raw[:start] + (sequence + item) * 5000)
    assert header_of(path).reason == "nested_too_deep"


def test_implicit_items_in_unknown_sequences_are_walked(tmp_path, write_image):
    raw = write_image(tmp_path / "plain").read_bytes()
    start = 144 + struct.unpack_from("<I", raw, 140)[0]
    implicit = b"\x08\x00\x00\x01" + struct.pack("<I", 4) + b"CODE"
    explicit = b"\x08\x00\x00\x01SH" + struct.pack("<H", 4) + b"CODE"
    for inner in (implicit, explicit):
        sequence = b"\x08\x00\x40\x11UN\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\xff\xff\xff\xff" + inner
        sequence += b"\xfe\xff\x0d\xe0\0\0\0\0" + b"\xfe\xff\xdd\xe0\0\0\0\0"
        path = tmp_path / "un"
        path.write_bytes(raw[:start] + sequence + raw[start:])
        assert header_of(path).reason is None


def test_a_library_warning_never_repeats_a_value(tmp_path, write_image, recwarn, capfd):
    path = write_image(tmp_path / "x")
    raw = path.read_bytes().replace(b"1.2.3.4\0", b"DOE^JANE")
    path.write_bytes(raw)
    assert header_of(path).columns["sop_instance_uid"] == "DOE^JANE"
    assert not recwarn.list
    assert capfd.readouterr() == ("", "")


def test_deflate_oracle(tmp_path, write_image):
    """The data set that the inventory inflates is what zlib gives for the bytes after the meta group."""
    from pipelines.archive.content import data_set_digest

    plain = pydicom.dcmread(write_image(tmp_path / "plain"))
    plain.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    path = tmp_path / "deflated"
    plain.save_as(path)
    import hashlib

    inflated = zlib.decompress(io.BytesIO(data_set_bytes(path)).read(), -15)
    assert data_set_digest(path) == hashlib.sha256(inflated).hexdigest()
    assert data_set_digest(tmp_path / "plain") == hashlib.sha256(data_set_bytes(tmp_path / "plain")).hexdigest()
