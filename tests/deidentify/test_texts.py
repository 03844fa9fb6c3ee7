from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.deidentify.delivery import deidentify_texts
from pipelines.deidentify.studies import Studies
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

    def run(tables: dict[str, bytes], **changes: Any) -> Any:
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
            profile=replace(profile, **changes),
            folder=folder,
        )
        reports = read_table(folder / "reports.parquet", REPORTS).to_pylist()
        labels = read_table(folder / "labels.parquet", DELIVERED_LABELS).to_pylist()
        return summary, sorted(reports, key=lambda r: r["text"] or ""), labels

    return run


def table(*rows: tuple[str, ...], delimiter: str = ",") -> str:
    return "\n".join(delimiter.join('"' + cell.replace('"', '""') + '"' for cell in row) for row in rows) + "\n"


def test_report_is_cleaned_with_its_studys_headers(run: Any, pseudonyms: Any, profile: Any) -> None:
    summary, (report,), _ = run(
        {"reports.csv": table(("accession_number", "report_text"), ("ACC77182931", REPORT)).encode()}
    )
    days = pseudonyms.days(pseudonyms.patient("MRN0098231"), profile.most_days)
    assert report["text"] == (
        f"Patient <NAME>, <ID>, seen {date(2018, 3, 9) - timedelta(days):%d.%m.%Y} by Dr. <NAME> at <LOCATION>.\n"
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


@pytest.mark.parametrize("density", ["5", "E", "Jadwiga", "12345", "A A A A A A A A A A", "see report"])
def test_what_is_no_density(run: Any, density: str) -> None:
    _, _, (label,) = run({"labels.csv": table(("patient_id", "density"), ("1", density)).encode()})
    assert (label["status"], label["reason"], label["density"]) == ("refused", "density_not_recognized", None)


def test_empty_cells_and_strange_sides_are_refused_as_such(run: Any) -> None:
    rows = (("patient_id", "laterality", "density"), ("1", "L", ""), ("2", "upper", "C"), ("3", "bilateral", "C"))
    summary, _, labels = run({"labels.csv": table(*rows).encode()})
    assert summary.reasons == {"laterality_not_recognized": 1, "no_density": 1}
    assert [(r["laterality"], r["density"]) for r in labels if r["status"] == "written"] == [(None, "C")]


UID = "1.3.6.1.4.1.9590.100.1.2.42"
PUBLIC = {
    "cbis_ddsm": (
        ("patient_id", "breast density", "left or right breast", "image view", "image file path", "pathology"),
        ("P_00001", "3", "LEFT", "CC", f"Calc-Test_P_00001_LEFT_CC/{UID}/1.2.7/000000.dcm\n", "BENIGN"),
        {"laterality": "L", "view": "CC", "density": "3", "densities": "C", "study_instance_uid": UID},
    ),
    "vindr_mammo": (
        ("study_id", "series_id", "image_id", "laterality", "view_position", "breast_birads", "breast_density"),
        ("b8d27", "70e4", "d8125", "R", "MLO", "BI-RADS 2", "DENSITY D"),
        {"laterality": "R", "view": "MLO", "density": "DENSITY D", "densities": "D", "sop_instance_uid": "d8125"},
    ),
    "embed": (
        ("empi_anon", "acc_anon", "side", "tissueden", "desc"),
        ("6512", "ACC77182931", "R", "2.0", "MG Screen"),
        {"laterality": "R", "density": "2.0", "densities": "B", "patient_id": "MRN0098231"},
    ),
    "rsna": (
        ("site_id", "patient_id", "image_id", "laterality", "view", "cancer", "density"),
        ("2", "MRN0098231", "462822612", "L", "CC", "0", "A"),
        {"laterality": "L", "view": "CC", "density": "A", "densities": "A", "patient_id": "MRN0098231"},
    ),
    "inbreast": (
        ("Patient ID", "Patient age", "Laterality", "View", "Acquisition date", "File Name", "ACR", "Bi-Rads"),
        ("removed", "removed", "R", "CC", "201001", "IM", "4 ", "2"),
        {"laterality": "R", "view": "CC", "density": "4", "densities": "D", "sop_instance_uid": "1.2.276.0.99.3.1"},
    ),
    "cdd_cesm": (
        ("Image_name", "Patient_ID", "Side", "Type", "Breast density (ACR)", "View", "Findings"),
        ("im", "1", "R", "DM", "B", "MLO", "Kowalewska"),
        {"laterality": "R", "view": "MLO", "density": "B", "densities": "B", "patient_id": "MRN0098231"},
    ),
    "mias": (
        ("REFNUM", "BG", "CLASS"),
        ("im", "G", "CIRC"),
        {"density": "G", "densities": "BC", "sop_instance_uid": "1.2.276.0.99.3.1"},
    ),
    "scaled_mias": (
        ("path", "laterality", "view", "density_raw", "density_scale"),
        ("some/folder/IM.png", "L", "MLO", "D", "MIAS F/G/D"),
        {"laterality": "L", "view": "MLO", "density": "D", "densities": "CD", "sop_instance_uid": "1.2.276.0.99.3.1"},
    ),
}


@pytest.mark.parametrize("name", PUBLIC)
def test_public_sets_are_read_by_their_columns(run: Any, pseudonyms: Any, name: str) -> None:
    header, cells, expected = PUBLIC[name]
    _, _, (label,) = run({"labels.csv": table(header, cells).encode()})
    assert (label["status"], label["column_map"]) == ("written", name), label["reason"]
    for raw, (column, make) in {
        "study_instance_uid": ("study_instance_uid", pseudonyms.uid),
        "sop_instance_uid": ("sop_instance_uid", pseudonyms.uid),
        "patient_id": ("patient", pseudonyms.patient),
    }.items():
        if raw in expected:
            assert label[column] == make(expected[raw])
    for column in ("laterality", "view", "density", "densities"):
        assert label[column] == expected.get(column), column
    written = {str(value) for value in label.values()}
    secret = {c for c in cells if len(c) > 3 and c != label["density"]}
    assert not [v for v in written if any(s in v for s in secret)]


def test_a_man_has_no_density_and_other_values_do_not_leave(run: Any) -> None:
    rows = (("acc_anon", "side", "tissueden"), ("1", "L", "5"), ("1", "R", ""), ("1", "R", "6"), ("1", "?", "2"))
    summary, _, labels = run({"labels.csv": table(*rows).encode()})
    assert [(r["density"], r["densities"]) for r in labels if r["status"] == "written"] == [("5", None)]
    assert summary.reasons == {"density_not_recognized": 1, "laterality_not_recognized": 1, "no_density": 1}


def test_a_file_name_must_lead_to_one_object(run: Any) -> None:
    rows = (("REFNUM", "BG"), ("mdb001", "G"), ("im", "x"), ("", "G"))
    summary, _, _ = run({"labels.csv": table(*rows).encode()})
    assert summary.reasons == {"density_not_recognized": 1, "file_not_in_delivery": 1, "no_reference": 1}


def test_rows_of_a_scale_that_nobody_knows(run: Any) -> None:
    rows = (("path", "density_raw", "density_scale"), ("im", "D", "Wolfe"), ("im", "", ""))
    summary, _, _ = run({"labels.csv": table(*rows).encode()})
    assert summary.reasons == {"no_density": 1, "scale_not_recognized": 1}


@pytest.mark.parametrize(
    ("location", "asked", "found"),
    [
        ("inbox:a/22678622_61b_MG_R_CC_ANON.dcm", "22678622", True),
        ("inbox:P1_R_CM_MLO.dcm", "P1_R_CM_MLO", True),
        ("inbox:P1_R_CM_MLO.dcm", "p1_r_cm_mlo.jpg", True),
        ("inbox:P12_R_CM_MLO.dcm", "P1", False),
        ("inbox:caf%C3%A9%3A1.dcm", "x/caf\u00e9:1", True),
        ("inbox:1.2.3.4", "1.2.3", False),
        ("unpacked:F-0009", "mdb001", True),
    ],
)
def test_objects_by_file_name(key: Any, profile: Any, pseudonyms: Any, location: str, asked: str, found: bool) -> None:
    row = {"file_id": "F-1", "location": location, "kind": "dicom", "status": "accepted", "sop_instance_uid": "1.2"}
    member = "films/mdb001.dcm" if location.startswith("unpacked") else None
    inventory = INVENTORY.build([{**row, "member": member, "size": 1, "sha256": "x"}])
    assert Studies(inventory, Path, pseudonyms, profile).instances(asked) == ({"1.2"} if found else set())


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


def test_row_that_refers_to_two_patients_is_refused(tmp_path: Path, key: Any, profile: Any, pseudonyms: Any) -> None:
    paths, rows = {}, []
    for n, patient in enumerate(("MRN0098231", "MRN0777777")):
        image = save(mammogram(PatientID=patient, StudyInstanceUID=f"1.2.276.0.99.1.{n}"), tmp_path / "in" / f"{n}.dcm")
        paths[f"inbox:{n}.dcm"] = image
        raw = {"study_instance_uid": f"1.2.276.0.99.1.{n}", "accession_number": "ACC77182931", "patient_id": patient}
        rows.append(entry(image, n, **raw))
    for name, text in (
        ("reports", table(("accession_number", "report_text"), ("ACC77182931", "Dense breasts."))),
        ("labels", table(("study_instance_uid", "density"), ("1.2.276.0.99.1.1", "C"))),
    ):
        paths[f"inbox:{name}.csv"] = tmp_path / "in" / f"{name}.csv"
        paths[f"inbox:{name}.csv"].write_text(text)
        rows.append(entry(paths[f"inbox:{name}.csv"], len(rows), name))
    (tmp_path / "out").mkdir()
    summary = deidentify_texts(
        INVENTORY.build(rows),
        source=paths.__getitem__,
        key=key,
        profile=profile,
        folder=tmp_path / "out",
        patients={"F-0001": "P-better"},
    )
    assert summary.reasons == {"refers_to_two_patients": 1}
    [label] = read_table(tmp_path / "out" / "labels.parquet", DELIVERED_LABELS).to_pylist()
    assert (label["status"], label["patient"]) == ("written", "P-better")


def test_a_report_of_nobody_known_keeps_no_dates(run: Any) -> None:
    rows = (("accession_number", "report_text"), ("NEW9", "Prior of March 3, 2018 and 2019-04-05; aged 91."))
    _, (report,), _ = run({"reports.csv": table(*rows).encode()})
    assert report["text"] == "Prior of <DATE> and <DATE>; aged over 89."


def test_the_profile_decides_of_reports(run: Any, profile: Any) -> None:
    rows = (("accession_number", "report_text"), ("ACC77182931", "Dense breasts, Brumblefoot agrees."))
    policies = {**profile.policies, "reports": "vocabulary"}
    _, (report,), _ = run({"reports.csv": table(*rows).encode()}, policies=policies)
    assert report["text"] == "Dense breasts agrees"


def test_reports_are_removed_where_the_profile_says_so(run: Any, profile: Any) -> None:
    rows = (("accession_number", "report_text"), ("ACC77182931", "Dense breasts."))
    summary, (report,), _ = run(
        {"reports.csv": table(*rows).encode()}, policies={**profile.policies, "reports": "remove"}
    )
    assert (report["status"], report["reason"], report["text"]) == ("refused", "reports_not_kept", None)
    assert summary.reports == 0


def test_a_moved_date_that_equals_the_birth_date_is_no_identifier(run: Any, pseudonyms: Any, profile: Any) -> None:
    days = pseudonyms.days(pseudonyms.patient("MRN0098231"), profile.most_days)
    prior = f"{date(1948, 2, 29) + timedelta(days):%Y-%m-%d}"
    rows = (("accession_number", "report_text"), ("ACC77182931", f"Compared with {prior}."))
    _, (report,), _ = run({"reports.csv": table(*rows).encode()})
    assert (report["status"], report["text"]) == ("written", "Compared with 1948-02-29.")


@pytest.mark.parametrize("birth", ["02/29/1948", "29.02.1948", "1948-02-29", "19480229", "February 29, 1948"])
def test_the_rows_own_birth_date_goes_in_any_notation(run: Any, birth: str) -> None:
    rows = (("accession_number", "report_text", "dob"), ("NEW1", "29 Feb 1948, 2/29/48 and 19480229.", birth))
    _, (report,), _ = run({"reports.csv": table(*rows).encode()})
    assert report["text"] == "<DATE>, <DATE> and <DATE>."


def test_columns_named_twice_and_rows_that_are_too_long(tmp_path: Path) -> None:
    path = tmp_path / "reports.csv"
    path.write_bytes(b"\n\xef\xbb\xbfa,Report Text,A\n1,x\0y,2\n1,M\xfcller,2,3\n1,\x93M\xfcller\x94,2,\n")
    first, second, third = read_rows(path)
    assert second == {}
    assert first["report_text"] == "xy"
    assert third["report_text"] == "\u201cM\u00fcller\u201d"
    assert list(first.values()) == ["1", "xy", "2"]
    path.write_bytes(b"id,id,id\r1,2,3\r")
    assert read_rows(path) == [{"id": "1", "id_2": "2", "id_3": "3"}]
