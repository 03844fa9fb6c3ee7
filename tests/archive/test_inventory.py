"""Every file of a delivery is accounted for, with the right reason."""

import hashlib
import os
import shutil
import urllib.parse
import warnings
from pathlib import Path

import pydicom
import pytest

from pipelines.archive.deliveries import Delivery
from pipelines.archive.inventory import take_inventory
from pipelines.storage.workers import Workers
from pipelines.storage.zones import Zones

DATA = Path(__file__).parents[2].parent / "shared" / "data"


def test_a_dicom_file_is_accepted_with_its_identifiers_and_digest(delivery, take, write_image):
    path = write_image(delivery / "a" / "b" / "image")
    taken = take(delivery)
    (row,) = taken.rows
    assert row["file_id"].startswith("F-")
    assert row["location"] == "inbox:a/b/image"
    assert row["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (row["size"], row["kind"], row["status"], row["reason"]) == (path.stat().st_size, "dicom", "accepted", None)
    assert row["sop_instance_uid"] == "1.2.3.4"
    assert row["study_instance_uid"] == "1.2.3"
    assert row["series_instance_uid"] == "1.2.3.1"
    assert (row["patient_id"], row["accession_number"], row["modality"]) == ("PID-77", "ACC-5", "MG")
    assert row["transfer_syntax_uid"] == "1.2.840.10008.1.2.1"
    assert row["sop_class_uid"] == "1.2.840.10008.5.1.4.1.1.1.2"
    (ledger,) = taken.summary.ledger
    assert (ledger.output, ledger.path, ledger.sha256) == (row["file_id"], row["location"], row["sha256"])


def test_what_is_no_image_is_quarantined_with_its_reason(delivery, take, write_image):
    (delivery / "note.dcm").write_text("this is no DICOM file\n")
    (delivery / "empty").touch()
    os.mkfifo(delivery / "pipe")
    (delivery / "link").symlink_to("/etc/hostname")
    (delivery / "folder_link").symlink_to("/etc")
    (delivery / "dangling").symlink_to("nowhere")
    taken = take(delivery)
    assert {r["location"]: r["reason"] for r in taken.rows} == {
        "inbox:note.dcm": "not_dicom",
        "inbox:empty": "empty",
        "inbox:pipe": "special_file",
        "inbox:link": "symlink",
        "inbox:folder_link": "symlink",
        "inbox:dangling": "symlink",
    }


def test_the_delivery_itself_may_be_a_link_and_names_may_be_any_bytes(delivery, tmp_path, take, write_image):
    name = b"M\xfcller % #?.dcm"
    write_image(delivery / "plain.dcm").rename(delivery / os.fsdecode(name))
    link = tmp_path / "link"
    link.symlink_to(delivery)
    (row,) = take(link).rows
    assert row["status"] == "accepted"
    assert row["location"] == "inbox:" + urllib.parse.quote_from_bytes(name)
    source = Zones.at(tmp_path).source_path(row["location"], link, tmp_path)
    assert hashlib.sha256(source.read_bytes()).hexdigest() == row["sha256"]


def test_a_deep_tree_is_walked_and_what_is_too_deep_to_open_has_a_row(delivery, take, write_image):
    deep = delivery.joinpath(*["d" * 20] * 150)
    write_image(deep / "image.dcm")
    folder = os.open(deep, os.O_RDONLY)
    for _ in range(60):
        os.mkdir("d" * 20, dir_fd=folder)
        below = os.open("d" * 20, os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = below
    os.close(folder)
    taken = take(delivery)
    assert sorted((r["status"], r["reason"]) for r in taken.rows) == [("accepted", None), ("quarantined", "unreadable")]


def test_an_unreadable_file_or_folder_has_a_row(delivery, take, write_image, monkeypatch):
    write_image(delivery / "good.dcm")
    write_image(delivery / "bad.dcm", "1.2.3.5")
    write_image(delivery / "closed" / "in.dcm", "1.2.3.6")
    scan, opened = os.scandir, Path.open

    def refuse_scan(path):
        if os.fsencode(path).endswith(b"closed"):
            raise PermissionError
        return scan(path)

    def refuse_open(self, *arguments, **options):
        if self.name == "bad.dcm":
            raise PermissionError
        return opened(self, *arguments, **options)

    monkeypatch.setattr(os, "scandir", refuse_scan)
    monkeypatch.setattr(Path, "open", refuse_open)
    taken = take(delivery)
    assert taken.outcome("inbox:good.dcm")[1] == "accepted"
    assert taken.outcome("inbox:bad.dcm") == ("other", "quarantined", "unreadable")
    assert taken.outcome("inbox:closed") == ("other", "quarantined", "unreadable")
    assert taken.row("inbox:bad.dcm")["sha256"] == ""


def test_copies_are_duplicates_of_the_first_location(delivery, take, write_image):
    image = write_image(delivery / "b.dcm")
    shutil.copy(image, delivery / "a.dcm")
    shutil.copy(image, delivery / "z.dcm")
    (delivery / "t1.txt").write_text("x")
    (delivery / "t2.txt").write_text("x")
    taken = take(delivery)
    first = taken.row("inbox:a.dcm")
    assert first["status"] == "accepted"
    for name in ("b", "z"):
        row = taken.row(f"inbox:{name}.dcm")
        assert (row["status"], row["duplicate_of"]) == ("duplicate", first["file_id"])
    assert taken.outcome("inbox:t1.txt") == taken.outcome("inbox:t2.txt") == ("other", "quarantined", "not_dicom")


def test_one_instance_uid_with_the_same_data_set_is_a_duplicate_and_with_another_a_conflict(
    delivery, take, write_image
):
    first = write_image(delivery / "a.dcm")
    same = pydicom.dcmread(first)
    same.file_meta.ImplementationVersionName = "OTHER"
    same.save_as(delivery / "b.dcm", enforce_file_format=True)
    write_image(delivery / "c.dcm", PatientComments="changed")
    shutil.copy(delivery / "c.dcm", delivery / "d.dcm")
    shutil.copy(delivery / "b.dcm", delivery / "e.dcm")
    taken = take(delivery)
    original = taken.row("inbox:a.dcm")["file_id"]
    assert taken.row("inbox:b.dcm")["duplicate_of"] == original
    assert taken.row("inbox:e.dcm")["duplicate_of"] == original
    conflict = ("dicom", "quarantined", "conflicting_sop_instance_uid")
    assert taken.outcome("inbox:c.dcm") == taken.outcome("inbox:d.dcm") == conflict


def test_tables_are_recognized_by_name_and_columns(delivery, take):
    import pandas as pd

    (delivery / "reports.csv").write_text('\ufeffaccession_number,"report_text",extra\n1,"a\nb",c\n')
    pd.DataFrame({"density": ["A"], "patient_id": ["x"]}).to_parquet(delivery / "labels.parquet")
    for sub, name, text in (
        ("s1", "labels.csv", "density,view\nA,CC\n"),
        ("s2", "reports.csv", "accession,text\n"),
        ("s3", "labels.parquet", "no parquet"),
        ("s4", "other.csv", "accession_number,report_text\n"),
        ("s5", "REPORTS.CSV", "report_text,accession_number\n"),
    ):
        (delivery / sub).mkdir()
        (delivery / sub / name).write_text(text)
    taken = take(delivery)
    assert taken.outcome("inbox:reports.csv") == ("reports", "accepted", None)
    assert taken.outcome("inbox:labels.parquet") == ("labels", "accepted", None)
    assert taken.outcome("inbox:s1/labels.csv") == ("labels", "quarantined", "columns_missing")
    assert taken.outcome("inbox:s2/reports.csv") == ("reports", "quarantined", "columns_missing")
    assert taken.outcome("inbox:s3/labels.parquet") == ("labels", "quarantined", "unreadable_table")
    assert taken.outcome("inbox:s4/other.csv") == ("other", "quarantined", "not_dicom")
    assert taken.outcome("inbox:s5/REPORTS.CSV") == ("reports", "accepted", None)


def test_an_empty_delivery_has_an_empty_inventory(delivery, take):
    (delivery / "nothing").mkdir()
    taken = take(delivery)
    assert taken.summary.found == 0


def test_workers_and_repetition_change_no_byte_and_the_delivery_is_left_alone(delivery, take, write_image):
    for number in range(12):
        write_image(delivery / f"{number % 3}" / f"{number}.dcm", f"1.2.3.{number % 8}")
    (delivery / "x.txt").write_text("x")
    before = {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in delivery.rglob("*") if p.is_file()}
    one, again, two = take(delivery), take(delivery), take(delivery, Workers(2, chunk=3))
    texts = [(t.out / "inventory.parquet").read_bytes() for t in (one, again, two)]
    assert texts[0] == texts[1] == texts[2]
    assert one.summary == two.summary
    assert before == {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in delivery.rglob("*") if p.is_file()}
    assert [r["file_id"] for r in one.rows] == sorted(r["file_id"] for r in one.rows)


def test_progress_counts_every_file(delivery, tmp_path, key, write_image):
    for number in range(5):
        write_image(delivery / f"{number}.dcm", f"1.2.{number}")
    seen: list[tuple[int, int]] = []
    take_inventory(
        Delivery("d", delivery),
        key=key,
        folder=tmp_path,
        workers=Workers(1),
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(n, 5) for n in range(1, 6)]


@pytest.mark.skipif(not DATA.is_dir(), reason="the folder of real files is absent")
def test_real_odd_and_broken_files_are_judged_rightly(delivery, take):
    paths = [p for name in ("dicom-mg", "dicom-other") for p in sorted((DATA / name).iterdir())]
    for number, path in enumerate(paths):
        (delivery / f"{number:03d}").mkdir()
        shutil.copyfile(path, delivery / f"{number:03d}" / path.name)
    taken = take(delivery)
    by_name = {r["location"].rpartition("/")[2]: r for r in taken.rows}
    reasons = {name: r["reason"] for name, r in by_name.items() if r["reason"]}
    conflicts = {n for n, reason in reasons.items() if reason == "conflicting_sop_instance_uid"}
    assert {n: r for n, r in reasons.items() if n not in conflicts} == {
        "NOTICE.txt": "not_dicom",
        "pydicom__rtplan_truncated.dcm": "truncated",
        "pydicom-data__emri_small_jpeg_2k_lossless_too_short.dcm": "truncated",
    }
    uids = [by_name[n]["sop_instance_uid"] for n in conflicts]
    held = {r["sop_instance_uid"] for r in taken.rows if r["status"] == "accepted"}
    assert set(uids) <= held
    assert len(conflicts) == 19
    assert by_name["pydicom__DICOMDIR-bigEnd"]["kind"] == "dicomdir"
    assert by_name["pydicom__DICOMDIR-bigEnd"]["status"] == "accepted"
    assert by_name["pydicom-data__OT-PAL-8-face.dcm"]["transfer_syntax_uid"].startswith("1.2.840.10008.1.2")
    for row in by_name.values():
        if row["kind"] == "dicom" and row["status"] == "accepted":
            path = delivery / row["location"].removeprefix("inbox:").replace("%2B", "+")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                read = pydicom.dcmread(path, force=True, stop_before_pixels=True)
            assert row["sop_instance_uid"] == (read.get("SOPInstanceUID") or None)


def test_tables_of_public_sets_are_told_by_their_columns_whatever_their_name(delivery, take):
    for name, data in (
        ("INbreast.csv", "Patient ID;Laterality;View;File Name;ACR\nremoved;R;CC;22678622;2 \n".encode("utf-16")),
        ("labels.csv", b"REFNUM\tBG\nmdb001\tG\n"),
        ("prices.csv", b"item,price\n1,2\n"),
        ("empty_lines.csv", b"\n\n"),
        ("rubbish.parquet", b"no parquet"),
    ):
        (delivery / name).write_bytes(data)
    taken = take(delivery)
    assert taken.outcome("inbox:INbreast.csv") == ("labels", "accepted", None)
    assert taken.outcome("inbox:labels.csv") == ("labels", "accepted", None)
    for name in ("prices.csv", "empty_lines.csv", "rubbish.parquet"):
        assert taken.outcome(f"inbox:{name}") == ("other", "quarantined", "not_dicom")
