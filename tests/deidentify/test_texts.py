from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.deidentify.delivery import deidentify_texts
from pipelines.deidentify.tables import TableError, read_rows
from pipelines.storage.tables import DELIVERED_LABELS, INVENTORY, REPORTS, read_table
from tests.deidentify.conftest import mammogram, save
from tests.deidentify.test_delivery import entry

REPORT = (
    "Patient Jadwiga Kowalewska, MRN0098231, seen 09.03.2018 by Dr. Oberrauch at Glimmerthal.\n"
    "Heterogeneously dense breasts, BI-RADS 2. R MLO at 5 o'clock."
)


@pytest.fixture
def run(tmp_path: Path, key: Any, profile: Any) -> Any:
    image = save(mammogram(), tmp_path / "in" / "im.dcm")
    raw = {
        "sop_instance_uid": "1.2.276.0.99.3.1",
        "study_instance_uid": "1.2.276.0.99.1.1",
        "accession_number": "ACC77182931",
        "patient_id": "MRN0098231",
    }

    def run(tables: dict[str, bytes]) -> Any:
        paths = {}
        rows = [entry(image, 0, **raw)]
        for number, (name, data) in enumerate(sorted(tables.items()), start=1):
            path = tmp_path / "in" / name
            path.write_bytes(data)
            paths[f"inbox:{name}"] = path
            rows.append(entry(path, number, name.split(".")[0]))
        folder = tmp_path / "out"
        folder.mkdir()
        summary = deidentify_texts(
            INVENTORY.build(rows),
            source={**paths, "inbox:im.dcm": image}.__getitem__,
            key=key,
            profile=profile,
            folder=folder,
        )
        reports = read_table(folder / "reports.parquet", REPORTS).to_pylist()
        labels = read_table(folder / "labels.parquet", DELIVERED_LABELS).to_pylist()
        return summary, sorted(reports, key=lambda r: r["text"] or ""), labels

    return run


def table(*rows: tuple[str, ...], delimiter: str = ",") -> str:
    return "\n".join(delimiter.join('"' + cell.replace('"', '""') + '"' for cell in row) for row in rows) + "\n"


def test_report_is_cleaned_with_its_studys_headers(run: Any, pseudonyms: Any) -> None:
    summary, (report,), _ = run(
        {"reports.csv": table(("accession_number", "report_text"), ("ACC77182931", REPORT)).encode()}
    )
    assert report["text"] == (
        "Patient <NAME>, <ID>, seen <DATE> by Dr. <NAME> at <NAME>.\n"
        "Heterogeneously dense breasts, BI-RADS 2. R MLO at 5 o'clock."
    )
    assert report["accession"] == pseudonyms.accession("ACC77182931")
    assert report["patient"] == pseudonyms.patient("MRN0098231")
    assert report["report_id"].startswith("R-")
    assert (summary.reports, summary.refused) == (1, 0)
    assert summary.ledger[0].output == report["report_id"]


def test_report_of_an_unknown_study(run: Any) -> None:
    _, (report,), _ = run(
        {
            "reports.csv": table(
                ("Accession Number", "Report Text", "patient_name"),
                ("NEW1", "mrs xyzzy and Brumblefoot: dense breasts. Call 555-123-4567.", "Xyzzy^Ada"),
            ).encode()
        }
    )
    assert report["text"] == "mrs <NAME> and <NAME>: dense breasts. Call <PHONE>."
    assert report["patient"] is None


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_tables_as_people_write_them(tmp_path: Path, encoding: str, delimiter: str) -> None:
    path = tmp_path / "reports.csv"
    text = table(("Accession_Number ", "report_text"), ("1", "Müller, 5; 3\n\t| x"), ("2",), delimiter=delimiter)
    path.write_bytes(text.encode(encoding))
    rows = read_rows(path)
    assert rows == [
        {"accession_number": "1", "report_text": "Müller, 5; 3\n\t| x"},
        {"accession_number": "2", "report_text": ""},
    ]


def test_huge_fields_parquet_and_rubbish(tmp_path: Path) -> None:
    path = tmp_path / "reports.csv"
    path.write_text(table(("accession_number", "report_text"), ("1", "dense " * 100_000)))
    assert len(read_rows(path)[0]["report_text"]) == 599_999
    pq.write_table(pa.table({"Accession_number": [7], "report_text": [None]}), tmp_path / "r.parquet")
    assert read_rows(tmp_path / "r.parquet") == [{"accession_number": "7", "report_text": ""}]
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 and nothing")
    with pytest.raises(TableError):
        read_rows(tmp_path / "bad.parquet")


def test_labels(run: Any, pseudonyms: Any) -> None:
    rows = [
        ("accession_number", "sop_instance_uid", "patient_id", "laterality", "view", "density", "reader"),
        ("ACC77182931", "1.2.276.0.99.3.1", "", "Left", "MLO", "DENSITY B", "Dr. Quastel"),
        ("", "", "MRN0098231", "R", "Kowalewska", "iii", ""),
        ("", "", "NOBODY", "", "", "4", "dr. quastel"),
        ("ACC77182931", "", "", "", "", "Kowalewska", ""),
        ("", "", "", "", "", "A", ""),
    ]
    summary, _, labels = run({"labels.csv": table(*rows).encode()})
    written = {row["density"]: row for row in labels if row["status"] == "written"}
    assert set(written) == {"DENSITY B", "iii", "4"}
    first = written["DENSITY B"]
    assert first["sop_instance_uid"] == pseudonyms.uid("1.2.276.0.99.3.1")
    assert (first["laterality"], first["view"]) == ("L", "MLO")
    assert first["patient"] == written["iii"]["patient"] == pseudonyms.patient("MRN0098231")
    assert first["reader"] == written["4"]["reader"]
    assert "Quastel" not in first["reader"]
    assert written["iii"]["view"] is None
    assert summary.reasons == {"density_not_recognized": 1, "no_reference": 1}
    assert summary.labels == 3


@pytest.mark.parametrize(
    "density", ["A", "d", "1", "4.0", "IV", "II", "F", "G", "ACR C", "BI-RADS 3", "Density-b", "FATTY", "scattered"]
)
def test_density_scales(run: Any, density: str) -> None:
    _, _, (label,) = run({"labels.csv": table(("patient_id", "density"), ("1", density)).encode()})
    assert (label["status"], label["density"]) == ("written", density)


@pytest.mark.parametrize("density", ["", "5", "E", "Jadwiga", "12345", "A A A A A A A A A A", "see report"])
def test_what_is_no_density(run: Any, density: str) -> None:
    _, _, (label,) = run({"labels.csv": table(("patient_id", "density"), ("1", density)).encode()})
    assert (label["status"], label["reason"], label["density"]) == ("refused", "density_not_recognized", None)


def test_bad_tables_are_rows_too(run: Any) -> None:
    summary, reports, labels = run(
        {
            "reports.csv": table(("accession_number", "text"), ("1", "x"), ("2", "y")).encode(),
            "labels.parquet": b"PAR1 and nothing",
        }
    )
    assert [r["reason"] for r in reports] == ["columns_missing"] * 2
    assert [r["reason"] for r in labels] == ["unreadable_table"]
    assert summary.refused == 3
