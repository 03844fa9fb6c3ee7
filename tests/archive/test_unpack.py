"""Archives are opened, their members accounted for, and bombs and broken ones kept out."""

import bz2
import gzip
import io
import lzma
import shutil
import struct
import subprocess
import tarfile
import urllib.parse
import zipfile
from pathlib import Path

import pytest

from pipelines.archive.limits import ArchiveLimits
from pipelines.storage.zones import Zones


def outcomes(rows: list[dict]) -> list[tuple[str, str, str | None]]:
    return sorted((r["kind"], r["status"], r["reason"]) for r in rows)


@pytest.fixture
def images(tmp_path, write_image) -> list[Path]:
    return [write_image(tmp_path / "source" / f"{n}.dcm", f"1.2.3.{n}") for n in range(3)]


def test_zip_members_are_opened_below_keyed_ids(delivery, images, take, tmp_path):
    with zipfile.ZipFile(delivery / "night.bin", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(images[0], "../../../evil.dcm")
        archive.write(images[1], "/etc/DOE^JANE.dcm")
        archive.write(images[2], "same.dcm")
        archive.write(images[2], "sub/same.dcm")
        archive.mkdir("folder")
        archive.writestr("sub\\reports.csv", "accession_number,report_text\n")
        archive.writestr("readme.txt", "x")
        archive.writestr("none", "")
    taken = take(delivery)
    assert taken.outcome("inbox:night.bin") == ("archive", "accepted", None)
    members = taken.members("inbox:night.bin")
    assert outcomes(members) == [
        ("dicom", "accepted", None),
        ("dicom", "accepted", None),
        ("dicom", "accepted", None),
        ("dicom", "duplicate", None),
        ("other", "quarantined", "empty"),
        ("other", "quarantined", "not_dicom"),
        ("reports", "accepted", None),
    ]
    written = {p.name for p in (taken.out / "unpacked").iterdir()}
    assert written == {m["file_id"] for m in members}
    assert not (tmp_path.parent / "evil.dcm").exists()
    for member in members:
        path = Zones.at(tmp_path).source_path(member["location"], delivery, taken.out)
        assert path.read_bytes() in [i.read_bytes() for i in images] or member["kind"] != "dicom"
    names = {urllib.parse.unquote(member["member"]) for member in members}
    assert names >= {"../../../evil.dcm", "etc/DOE^JANE.dcm", "sub/same.dcm", "none"}
    inputs = {r.output: r.inputs for r in taken.summary.ledger}
    container = taken.row("inbox:night.bin")
    assert container["member"] is None
    assert all(inputs[m["file_id"]] == ((container["file_id"], container["sha256"]),) for m in members)


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_tar_members_are_opened_and_links_and_devices_reported(delivery, images, take, mode):
    with tarfile.open(delivery / "a", mode) as archive:
        archive.add(images[0], "../0.dcm")
        archive.add(images[1], "1.dcm")
        archive.add(images[0].parent, "folder", recursive=False)
        for name, form, target in (
            ("soft", tarfile.SYMTYPE, "/etc/passwd"),
            ("hard", tarfile.LNKTYPE, "1.dcm"),
            ("lost", tarfile.LNKTYPE, "/etc/passwd"),
            ("pipe", tarfile.FIFOTYPE, ""),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = form, target
            archive.addfile(info)
    taken = take(delivery)
    assert taken.outcome("inbox:a") == ("archive", "accepted", None)
    assert outcomes(taken.members("inbox:a")) == [
        ("dicom", "accepted", None),
        ("dicom", "accepted", None),
        ("dicom", "duplicate", None),
        ("other", "quarantined", "member_unreadable"),
        ("other", "quarantined", "special_file"),
        ("other", "quarantined", "symlink"),
    ]


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_a_compressed_single_file_is_opened_several_streams_joined(delivery, images, take, compress):
    raw = images[0].read_bytes()
    (delivery / "image.dcm.z").write_bytes(compress(raw[:400]) + compress(raw[400:]))
    taken = take(delivery)
    (member,) = taken.members("inbox:image.dcm.z")
    assert (member["kind"], member["status"], member["size"]) == ("dicom", "accepted", len(raw))


def test_a_plain_file_stands_before_its_copy_in_an_archive(delivery, images, take):
    with zipfile.ZipFile(delivery / "a.zip", "w") as archive:
        archive.write(images[0], "0.dcm")
    shutil.copy(images[0], delivery / "z.dcm")
    shutil.copy(delivery / "a.zip", delivery / "b.zip")
    taken = take(delivery)
    (member,) = taken.members("inbox:a.zip")
    assert member["duplicate_of"] == taken.row("inbox:z.dcm")["file_id"]
    assert taken.row("inbox:b.zip")["duplicate_of"] == taken.row("inbox:a.zip")["file_id"]
    assert not taken.members("inbox:b.zip")


def nest(data: bytes, depth: int) -> bytes:
    for _ in range(depth):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("inner", data)
        data = buffer.getvalue()
    return data


def test_nested_archives_are_opened_to_a_small_depth(delivery, images, take):
    (delivery / "three").write_bytes(nest(images[0].read_bytes(), 3))
    (delivery / "four").write_bytes(nest(images[1].read_bytes(), 4))
    taken = take(delivery)
    accepted = [r["sop_instance_uid"] for r in taken.rows if r["kind"] == "dicom"]
    assert accepted == ["1.2.3.0"]
    assert taken.summary.reasons == {"archive_too_deep": 1}


def test_an_encrypted_zip_is_quarantined_and_its_members_have_rows(delivery, take):
    with zipfile.ZipFile(delivery / "open.zip", "w") as archive:
        archive.writestr("a", "secret")
        archive.writestr("b", "secret")
    raw = bytearray((delivery / "open.zip").read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = raw.find(signature)
        while at >= 0:
            raw[at + offset] |= 1
            at = raw.find(signature, at + 1)
    (delivery / "open.zip").write_bytes(raw)
    taken = take(delivery)
    assert taken.outcome("inbox:open.zip") == ("archive", "quarantined", "encrypted")
    assert outcomes(taken.members("inbox:open.zip")) == [("other", "quarantined", "encrypted")] * 2


def test_a_damaged_member_has_a_row_and_the_others_stand(delivery, images, take):
    path = delivery / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for image in images:
            archive.write(image, image.name)
        offset = archive.getinfo("1.dcm").header_offset
    raw = bytearray(path.read_bytes())
    raw[offset + 300] ^= 0xFF
    path.write_bytes(raw)
    taken = take(delivery)
    assert outcomes(taken.members("inbox:a.zip")) == [
        ("dicom", "accepted", None),
        ("dicom", "accepted", None),
        ("other", "quarantined", "member_unreadable"),
    ]
    assert len(list((taken.out / "unpacked").iterdir())) == 2


def test_broken_archives_are_quarantined_and_whole_members_stand(delivery, images, take):
    with zipfile.ZipFile(delivery / "a.zip", "w") as archive:
        for image in images:
            archive.write(image, image.name)
    (delivery / "a.zip").write_bytes((delivery / "a.zip").read_bytes()[:-60])
    for name, mode in (("t.tar", "w"), ("g.tar", "w:gz")):
        with tarfile.open(delivery / name, mode, format=tarfile.USTAR_FORMAT) as archive:
            for image in images:
                archive.add(image, image.name)
    size = images[0].stat().st_size
    plain = (delivery / "t.tar").read_bytes()
    (delivery / "t.tar").write_bytes(plain[: 512 + -(-size // 512) * 512 + 700])
    (delivery / "g.tar").write_bytes((delivery / "g.tar").read_bytes()[:-20])
    garbled = bytearray(plain)
    garbled[512 + -(-size // 512) * 512 + 10] ^= 0xFF  # the second header
    (delivery / "m.tar").write_bytes(garbled)
    (delivery / "x.gz").write_bytes(b"\x1f\x8b\x08 no gzip at all")
    (delivery / "y").write_bytes(b"BZh9 hello")
    (delivery / "s.7z").write_bytes(b"7z\xbc\xaf\x27\x1c" + bytes(50))
    taken = take(delivery)
    for name in ("a.zip", "t.tar", "m.tar", "x.gz", "y"):
        assert taken.outcome(f"inbox:{name}") == ("archive", "quarantined", "archive_broken"), name
    assert taken.outcome("inbox:g.tar")[2] == "archive_broken"
    assert taken.outcome("inbox:s.7z")[2] == "archive_unsupported"
    assert ("dicom", "accepted", None) in outcomes(taken.members("inbox:m.tar") + taken.members("inbox:g.tar"))


def test_bombs_are_stopped_and_leave_nothing(delivery, images, take):
    zeros = bytes(1 << 20)
    with zipfile.ZipFile(delivery / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(8):
            archive.writestr(str(number), zeros)
    (delivery / "bomb.gz").write_bytes(gzip.compress(zeros * 8))
    with zipfile.ZipFile(delivery / "many.zip", "w") as archive:
        for number in range(40):
            archive.writestr(str(number), str(number))
    (delivery / "deep.zip").write_bytes(nest(zeros * 8, 2))
    limits = ArchiveLimits(ratio=50, ratio_from=1 << 22, members=30)
    taken = take(delivery, limits=limits)
    assert taken.outcome("inbox:bomb.zip")[2] == "archive_ratio"
    assert taken.outcome("inbox:bomb.gz")[2] == "archive_ratio"
    assert taken.outcome("inbox:many.zip")[2] == "archive_too_many_members"
    (inner,) = taken.members("inbox:deep.zip")
    assert inner["reason"] == "archive_ratio"
    assert [p.name for p in (taken.out / "unpacked").iterdir()] == [inner["file_id"]]
    total = take(delivery, limits=ArchiveLimits(unpacked_bytes=1 << 22))
    assert total.outcome("inbox:bomb.zip")[2] == "archive_too_large"


def test_headers_that_claim_memory_are_refused(delivery, take, monkeypatch):
    monkeypatch.setattr("pipelines.archive.unpack._MOST_HEADER_BYTES", 1 << 20)
    with tarfile.open(delivery / "pax.tar.gz", "w:gz", format=tarfile.PAX_FORMAT) as archive:
        info = tarfile.TarInfo("x")
        info.pax_headers = {"comment": "c" * (1 << 22)}
        archive.addfile(info)
    raw = bytearray(nest(b"x", 1))
    struct.pack_into("<I", raw, raw.rfind(b"PK\x05\x06") + 12, 0xFFFFFFF0)
    (delivery / "directory.zip").write_bytes(raw)
    taken = take(delivery)
    assert taken.outcome("inbox:pax.tar.gz")[2] == "archive_broken"
    assert taken.outcome("inbox:directory.zip")[2] == "archive_too_many_members"


@pytest.mark.skipif(shutil.which("tar") is None, reason="no tar command")
def test_an_archive_made_by_the_tar_command_is_opened(delivery, images, take):
    folder = images[0].parent / ("d" * 120)
    folder.mkdir()
    shutil.copy(images[0], folder / ("f" * 120))
    subprocess.run(["tar", "czf", delivery / "a.tgz", "-C", folder.parent, "."], check=True)
    taken = take(delivery)
    assert outcomes(taken.members("inbox:a.tgz")) == [("dicom", "accepted", None)] * 3 + [("dicom", "duplicate", None)]
