import json
import logging
from pathlib import Path
from typing import Any

import pydicom
import pytest

from pipelines.deidentify.delivery import deidentify_delivery
from pipelines.storage.digests import sha256_of_file
from pipelines.storage.tables import INVENTORY, OBJECTS, read_table
from pipelines.storage.workers import Workers
from tests.deidentify.conftest import SECRETS, mammogram, save


def entry(path: Path, number: int, kind: str = "dicom", **columns: Any) -> dict[str, Any]:
    return {
        "file_id": f"F-{number:04d}",
        "location": f"inbox:{path.name}",
        "size": path.stat().st_size,
        "sha256": sha256_of_file(path),
        "kind": kind,
        "status": "accepted",
        **columns,
    }


@pytest.fixture
def run(tmp_path: Path, key: Any, headers_only: Any) -> Any:
    def run(paths: list[Path], name: str = "out", workers: Workers = Workers(), profile: Any = headers_only) -> Any:  # noqa: B008
        inventory = INVENTORY.build([entry(path, number) for number, path in enumerate(paths)])
        folder = tmp_path / name
        folder.mkdir()
        by_name = {f"inbox:{path.name}": path for path in paths}
        progress: list[tuple[int, int]] = []
        summary = deidentify_delivery(
            inventory,
            source=by_name.__getitem__,
            key=key,
            profile=profile,
            folder=folder,
            workers=workers,
            progress=lambda done, total: progress.append((done, total)),
        )
        assert progress == [(n + 1, len(paths)) for n in range(len(paths))]
        return summary, read_table(folder / "objects.parquet", OBJECTS).to_pylist(), folder

    return run


def delivery(folder: Path) -> list[Path]:
    paths = [
        save(mammogram(SOPInstanceUID=f"1.2.276.0.99.3.{n}", SeriesDescription="L CC"), folder / f"KOWALEWSKA_{n}.dcm")
        for n in range(4)
    ]
    again = save(mammogram(SOPInstanceUID="1.2.276.0.99.3.2", SeriesNumber="9"), folder / "KOWALEWSKA_again.dcm")
    document = save(mammogram(SOPClassUID="1.2.840.10008.5.1.4.1.1.104.1"), folder / "KOWALEWSKA_document.dcm")
    text = folder / "KOWALEWSKA.txt"
    text.write_text("KOWALEWSKA is no DICOM " * 40)
    return [*paths, again, document, text]


def test_every_object_is_accounted_for(run: Any, tmp_path: Path) -> None:
    paths = delivery(tmp_path / "in")
    summary, rows, folder = run(paths)
    assert (summary.written, summary.refused) == (4, 3)
    assert [row["file_id"] for row in rows] == [f"F-{n:04d}" for n in range(7)]
    assert [row["reason"] for row in rows[4:]][:2] == ["duplicate_sop_instance_uid", "encapsulated_document"]
    assert sum(summary.reasons.values()) == 3
    for row in rows[:4]:
        path = folder / row["path"]
        assert row["path"] == f"{row['patient']}/{row['sop_instance_uid']}.dcm"
        assert (row["sha256"], row["size"]) == (sha256_of_file(path), path.stat().st_size)
        written = pydicom.dcmread(path)
        assert written.AccessionNumber == row["accession"]
        assert json.loads(row["actions_by_tag"])["00080018"] == {"U": 1}
        assert json.loads(row["actions"])["private"] == 2
    files = sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())
    assert files == sorted([*(row["path"] for row in rows[:4]), "objects.parquet"])
    assert [r.output for r in summary.ledger] == [row["sop_instance_uid"] for row in rows[:4]]
    assert all(
        i.startswith("F-") and d.startswith("hmac:") and len(d) == 69 for r in summary.ledger for i, d in r.inputs
    )
    assert sha256_of_file(paths[0]) not in str(summary.ledger)


def test_nothing_identifies_outside(run: Any, tmp_path: Path, caplog: Any, capfd: Any) -> None:
    caplog.set_level(logging.DEBUG)
    _, _, folder = run(delivery(tmp_path / "in"))
    seen = b"".join(
        p.read_bytes() + str(p.relative_to(folder)).encode() for p in sorted(folder.rglob("*")) if p.is_file()
    )
    out, err = capfd.readouterr()
    seen += (caplog.text + out + err).encode()
    assert [s for s in SECRETS if s.lower().encode() in seen.lower()] == []


def test_same_bytes_for_any_number_of_workers(run: Any, tmp_path: Path) -> None:
    paths = delivery(tmp_path / "in")
    one, _, first = run(paths, "first")
    two, _, second = run(paths, "second", Workers(processes=2, chunk=2))
    assert one == two
    names = sorted(p.relative_to(first) for p in first.rglob("*") if p.is_file())
    assert names == sorted(p.relative_to(second) for p in second.rglob("*") if p.is_file())
    assert all((first / n).read_bytes() == (second / n).read_bytes() for n in names)


def test_boxes_are_recorded_and_detector_errors_refuse(
    run: Any, tmp_path: Path, profile: Any, monkeypatch: Any
) -> None:
    from pipelines.deidentify import burned_in

    def pretend(dataset: Any, settings: Any) -> burned_in.Cleaned:
        if dataset.SeriesDescription == "broken":
            raise burned_in.DetectorError("pixels_unreadable")
        return burned_in.Cleaned((burned_in.TextBox(1, 2, 3, 4, 5),), review=2)

    monkeypatch.setattr(burned_in, "clean_pixels", pretend)
    good = save(mammogram(), tmp_path / "in" / "a.dcm")
    bad = save(mammogram(SOPInstanceUID="1.2.3", SeriesDescription="broken"), tmp_path / "in" / "b.dcm")
    summary, rows, _ = run([good, bad], profile=profile)
    assert rows[0]["review_boxes"] == 2
    assert (rows[0]["text_boxes"], json.loads(rows[0]["text_box_list"])) == (1, [[1, 2, 3, 4, 5]])
    assert (rows[1]["status"], rows[1]["reason"]) == ("refused", "pixels_unreadable")
    assert summary.text_boxes == 1


def test_unexpected_exceptions_are_refusals(run: Any, tmp_path: Path, profile: Any, monkeypatch: Any) -> None:
    import pipelines.deidentify.tasks as tasks

    def broken(*_: Any, **__: Any) -> None:
        raise LookupError("KOWALEWSKA")

    monkeypatch.setattr(tasks, "deidentify_object", broken)
    _, rows, _ = run([save(mammogram(), tmp_path / "in" / "a.dcm")])
    assert (rows[0]["status"], rows[0]["reason"]) == ("refused", "error_LookupError")


def test_an_identifier_in_the_table_refuses_its_file_alone(tmp_path: Path, key: Any, headers_only: Any) -> None:
    odd = save(mammogram(ManufacturerModelName="Dimensions 70401"), tmp_path / "a.dcm")
    good = save(mammogram(SOPInstanceUID="1.2.276.0.99.3.2"), tmp_path / "b.dcm")
    refused = save(mammogram(SOPInstanceUID="1.2.276.0.99.3.3"), tmp_path / "c.dcm")
    paths = [odd, good, refused]
    out = tmp_path / "out"
    out.mkdir()
    entries = [entry(path, number, patient_id="70401") for number, path in enumerate(paths)]
    summary = deidentify_delivery(
        INVENTORY.build(entries),
        source={f"inbox:{path.name}": path for path in paths}.__getitem__,
        key=key,
        profile=headers_only,
        folder=out,
        workers=Workers(),
        refuse={"F-0002": "study_of_two_patients"},
    )
    rows = read_table(out / "objects.parquet", OBJECTS).to_pylist()
    assert [row["reason"] for row in rows] == ["identifier_in_table", None, "study_of_two_patients"]
    assert summary.written == len(list(out.rglob("*.dcm"))) == 1


def test_the_name_of_another_patient_is_no_model(run: Any, tmp_path: Path) -> None:
    """The tables of a delivery name nobody of it, in whatever object the name stands."""
    first = save(mammogram(), tmp_path / "a.dcm")
    other = mammogram(
        PatientName="Zqovimtaru^Ida", PatientID="X", SOPInstanceUID="1.2.3.4.5.6", StudyInstanceUID="1.2.3.4.5",
        ManufacturerModelName="Kowalewska", StudyDescription="", PatientComments="",
    )  # fmt: skip
    _, rows, folder = run([first, save(other, tmp_path / "b.dcm")])
    assert [row["reason"] for row in rows] == [None, "identifier_in_table"]
    assert len(list(folder.rglob("*.dcm"))) == 1
