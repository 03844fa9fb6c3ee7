from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from pipelines.label.votes import collect_votes
from pipelines.storage.tables import DELIVERED_LABELS, OBJECTS, REPORTS


def coded(value, scheme):
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator = value, scheme
    return Sequence([item])


def composition(density_code):
    item = Dataset()
    item.ValueType = "CODE"
    item.ConceptNameCodeSequence = coded("129715009", "SCT")
    item.ConceptCodeSequence = coded(density_code, "SCT")
    root = Dataset()
    root.ContentSequence = Sequence([item])
    return root


def an_object(file_id, **values):
    return {"file_id": file_id, "status": "written", "patient": "P-1", "study_instance_uid": "2.25.9", **values}


OBJECT_ROWS = [
    an_object("F-1", modality="SR", sop_instance_uid="2.25.11"),
    an_object("F-2", modality="MG", sop_instance_uid="2.25.12"),
    an_object("F-3", sop_class_uid="1.2.840.10008.5.1.4.1.1.88.50", sop_instance_uid="2.25.13"),
    an_object("F-4", modality="SR", sop_instance_uid="2.25.14"),
    {"file_id": "F-5", "status": "refused", "reason": "x", "modality": "SR"},
]
LABEL_ROWS = [{"label_id": "L-1", "file_id": "F-9", "status": "written", "accession": "A-1", "density": "2"}]
REPORT_ROWS = [
    {"report_id": "R-1", "file_id": "F-8", "status": "written", "accession": "A-1", "text": "ACR c."},
    {"report_id": "R-2", "file_id": "F-8", "status": "refused", "reason": "x", "text": "ACR d."},
    {"report_id": "R-3", "file_id": "F-8", "status": "written", "accession": "A-2", "text": None},
]


def collect(opened=None, times=1):
    trees = {"F-1": composition("129716005"), "F-3": composition("129719003"), "F-4": None}

    def read_object(row):
        if opened is not None:
            opened.append(row["file_id"])
        return trees[row["file_id"]]

    return collect_votes(
        delivered=DELIVERED_LABELS.build(LABEL_ROWS),
        reports=REPORTS.build(REPORT_ROWS),
        objects=OBJECTS.build(OBJECT_ROWS),
        read_object=read_object,
    )


def test_every_channel_speaks_and_says_who():
    votes = {v["evidence_id"]: v for v in collect().to_pylist()}
    said = {evidence: (v["source"], v["densities"], v["accession"]) for evidence, v in votes.items()}
    assert said == {
        "L-1": ("table", "B", "A-1"),
        "R-1": ("text", "C", "A-1"),
        "2.25.11": ("sr", "A", None),
        "2.25.13": ("sr", "D", None),
    }
    rules = {evidence: v["rule"] for evidence, v in votes.items()}
    assert rules == {
        "L-1": "labels_four_classes",
        "R-1": "en_acr_letter",
        "2.25.11": "SCT 129715009",
        "2.25.13": "SCT 129715009",
    }
    assert votes["2.25.11"]["study_instance_uid"] == "2.25.9"
    assert votes["2.25.11"]["sop_instance_uid"] is None


def test_only_written_structured_reports_are_opened():
    opened = []
    collect(opened)
    assert sorted(opened) == ["F-1", "F-3", "F-4"]


def test_vote_ids_are_stable_and_tell_statements_apart():
    first, second = collect().column("vote_id").to_pylist(), collect().column("vote_id").to_pylist()
    assert first == second
    assert len(set(first)) == 4


def test_evidence_that_arrives_twice_is_one_vote():
    labels = DELIVERED_LABELS.build(LABEL_ROWS)
    empty = {"reports": REPORTS.build([]), "objects": OBJECTS.build([]), "read_object": lambda row: None}
    import pyarrow as pa

    votes = collect_votes(delivered=pa.concat_tables([labels, labels]), **empty)
    assert votes.num_rows == 1
