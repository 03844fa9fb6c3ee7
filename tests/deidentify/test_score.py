"""The scorer against objects that were de-identified well and badly by hand, and answer files that make no sense."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from pipelines.deidentify.answers import ACTIONS, Answer, AnswersError, Step, read_answers, values_at
from pipelines.deidentify.score import MISSING, Pair, Scores, contrast_left, score
from tests.deidentify.conftest import mammogram, save

GOOD = {
    "PatientName": "P-1",
    "PatientID": "P-1",
    "PatientComments": "",
    "StudyDescription": "MAMMO SCREENING",
    "StudyDate": "20150103",
    "SeriesDate": "20150103",
    "PatientBirthDate": "",
    "SOPInstanceUID": "2.25.7",
    "StudyInstanceUID": "2.25.8",
}
ROWS = [
    ("tag_retained", "Rows", "", ""),
    ("text_notnull", "PatientID", "", ""),
    ("text_retained", "SeriesDescription", "R MLO", ""),
    ("text_retained", "KVP", "29.0", ""),
    ("text_retained", "ViewCodeSequence[0].CodeValue", "399368009", ""),
    ("text_removed", "PatientName", "KOWALEWSKA Jadwiga", ""),
    ("text_removed", "00081030", "KOWALEWSKA", ""),
    ("text_removed", "PatientComments", "Jadwiga", ""),
    ("text_removed", '(0019,"MAKER",01)', "KOWALEWSKA", ""),
    ("date_shifted", "StudyDate", "20180309", ""),
    ("date_shifted", "SeriesDate", "20180309", ""),
    ("date_shifted", "PatientBirthDate", "19480229", ""),
    ("uid_changed", "SOPInstanceUID", "1.2.276.0.99.3.1", ""),
    ("uid_consistent", "StudyInstanceUID", "1.2.276.0.99.1.1", ""),
    ("patid_consistent", "PatientID", "MRN0098231", ""),
    ("pixels_hidden", "", "", "1 2 4 9"),
    ("pixels_retained", "", "", "6 0 12 10"),
]


def picture(text: bool) -> bytes:
    pixels = np.random.default_rng(3).integers(40, 60, (12, 10)).astype(np.uint16)
    pixels[1:4, 2:9] = 0
    if text:
        pixels[2, 2:9] = 4000
    return pixels.tobytes()


def without_private(dataset: Dataset) -> Dataset:
    del dataset[0x00191001]
    return dataset


def answers_csv(path: Path, rows: list[tuple[str, str, str, str]], source: str = "d/a.dcm") -> Path:
    lines = ["source,action,tag,value,box"]
    for action, tag, value, box in rows:
        quoted = '"' + tag.replace('"', '""') + '"'
        lines.append(f"{source},{action},{quoted},{value},{box}")
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def judge(tmp_path: Path) -> Callable[..., Scores]:
    """Scores ROWS on a source and on what ``changes`` to a well de-identified object make of it."""
    source = save(mammogram(PixelData=picture(text=True)), tmp_path / "a.dcm")

    def judge(
        rows: list[tuple[str, str, str, str]] = ROWS, text: bool = False, remove: str = "", **changes: Any
    ) -> Scores:
        dataset = without_private(mammogram(**(GOOD | {"PixelData": picture(text)} | changes)))
        if remove:
            delattr(dataset, remove)
        written = save(dataset, tmp_path / "out.dcm")
        answers = read_answers(answers_csv(tmp_path / "answers.csv", rows))
        return score(answers, lambda answer: Pair("F-1", source, written))

    return judge


def failed(scores: Scores) -> list[tuple[str, str, str]]:
    return [(v.answer.action, v.answer.tag, v.why) for v in scores.verdicts if not v.passed]


def test_well_done_passes_everything(judge: Any) -> None:
    scores = judge()
    assert failed(scores) == []
    assert scores.share == 1.0
    assert set(scores.by_action()) == set(ACTIONS)
    assert scores.by_action()["text_removed"] == (4, 4)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"remove": "Rows"}, ("tag_retained", "Rows", "tag_removed")),
        ({"SeriesDescription": "R"}, ("text_retained", "SeriesDescription", "text_lost")),
        ({"KVP": "30"}, ("text_retained", "KVP", "text_lost")),
        ({"remove": "ViewCodeSequence"}, ("text_retained", "ViewCodeSequence[0].CodeValue", "text_lost")),
        ({"PatientName": "Anon jadwigá"}, ("text_removed", "PatientName", "text_left")),
        ({"StudyDescription": "MAMMO_KOWALEWSKA2"}, ("text_removed", "00081030", "text_left")),
        ({"StudyDate": "20180309", "remove": "SeriesDate"}, ("date_shifted", "StudyDate", "unchanged")),
        ({"SeriesDate": "XX"}, ("date_shifted", "SeriesDate", "no_date")),
        ({"SOPInstanceUID": "1.2.276.0.99.3.1"}, ("uid_changed", "SOPInstanceUID", "unchanged")),
        ({"StudyInstanceUID": "1.2.276.0.99.1.1"}, ("uid_consistent", "StudyInstanceUID", "unchanged")),
        ({"PatientID": "MRN0098231"}, ("patid_consistent", "PatientID", "unchanged")),
        ({"text": True}, ("pixels_hidden", "", "pixels_legible")),
        ({"PixelData": bytes(240)}, ("pixels_retained", "", "pixels_changed")),
        ({"Rows": 10}, ("pixels_retained", "", "size_changed")),
    ],
)
def test_each_fault_is_found(judge: Any, changes: dict[str, Any], fault: tuple[str, str, str]) -> None:
    assert fault in failed(judge(**changes))


def test_dates_of_a_patient_move_together(judge: Any) -> None:
    rows = [*ROWS, ("date_shifted", "AcquisitionDate", "20180310", "")]
    scores = judge(rows, AcquisitionDate="20150105")
    assert failed(scores) == [("date_shifted", "AcquisitionDate", "moved_unlike_others")]
    assert failed(judge(rows, AcquisitionDate="20150104")) == []


def test_missing_object_fails_all_of_its_answers(tmp_path: Path) -> None:
    answers = read_answers(answers_csv(tmp_path / "answers.csv", ROWS))
    for found in (None, Pair("F-1", tmp_path / "a.dcm", None)):
        scores = score(answers, lambda answer, found=found: found)  # type: ignore[misc]
        assert {v.why for v in scores.verdicts} == {MISSING}
        assert scores.share == 0.0
    torn = tmp_path / "torn.dcm"
    torn.write_bytes(b"no DICOM")
    scores = score(answers, lambda answer: Pair("F-1", torn, torn))
    assert {v.why for v in scores.verdicts} == {"object_unreadable"}


@pytest.mark.parametrize(
    ("new", "why"),
    [
        (("2.25.1", "2.25.2", "2.25.3"), ["several_new_for_one_old"] * 2 + [""]),
        (("2.25.1", "2.25.1", "2.25.1"), ["one_new_for_several_old"] * 3),
        (("2.25.1", "2.25.1", "2.25.3"), [""] * 3),
    ],
)
def test_uids_are_consistent_over_objects(tmp_path: Path, new: tuple[str, ...], why: list[str]) -> None:
    old = ("1.2.3", "1.2.3", "1.2.4")
    pairs, lines = {}, ["sop_instance_uid,action,tag,value"]
    for n, uid in enumerate(new):
        written = save(mammogram(StudyInstanceUID=uid), tmp_path / f"{n}.dcm")
        pairs[f"9.{n}"] = Pair(f"F-{n}", written, written)
        lines.append(f"9.{n},uid_consistent,StudyInstanceUID,{old[n]}")
    (tmp_path / "answers.csv").write_text("\n".join(lines))
    scores = score(read_answers(tmp_path / "answers.csv"), lambda answer: pairs[answer.sop_instance_uid])
    assert [v.why for v in scores.verdicts] == why


def test_verdicts_hold_no_values_of_objects(judge: Any) -> None:
    scores = judge(PatientName="KOWALEWSKA^Jadwiga", StudyDate="20180309")
    told = str([(v.file_id, v.passed, v.why, v.answer.tag) for v in scores.verdicts])
    assert "KOWALEWSKA" not in told
    assert "20180309" not in told


@pytest.mark.parametrize(
    ("covered", "hidden"), [((0, 40), True), ((0, 37), True), ((0, 20), False), ((10, 40), False), ((0, 0), False)]
)
def test_ink_is_hidden_where_nine_tenths_are_covered(covered: tuple[int, int], hidden: bool) -> None:
    old = np.random.default_rng(1).normal(300, 8, (12, 80))
    old[3:9, 0:80:2] = 3500
    new = old.copy()
    new[:, 2 * covered[0] : 2 * covered[1]] = 300
    assert (contrast_left(old, new) <= 0.1) is hidden


def test_contrast_of_nothing() -> None:
    flat = np.zeros((4, 4))
    assert contrast_left(flat, flat) == contrast_left(flat[:0], flat[:0]) == 0.0


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("d/a.dcm,text_eaten,Rows,,", "the action is one of"),
        (",tag_retained,Rows,,", "neither source nor"),
        ("d/a.dcm,tag_retained,KOWALEWSKA,,", "the tag cannot"),
        ("d/a.dcm,tag_retained,Rows.,,", "the tag cannot"),
        ("d/a.dcm,tag_retained,,,", "the tag cannot"),
        ("d/a.dcm,text_removed,Rows,,", "needs a value"),
        ("d/a.dcm,pixels_hidden,,,", "the box cannot"),
        ("d/a.dcm,pixels_hidden,,,4 4 2 9", "the box cannot"),
        ("d/a.dcm,pixels_retained,,,KOWALEWSKA", "the box cannot"),
    ],
)
def test_answers_that_make_no_sense_are_named_by_line(tmp_path: Path, row: str, message: str) -> None:
    path = tmp_path / "answers.csv"
    path.write_text(f"source,action,tag,value,box\nd/a.dcm,tag_retained,Rows,,\n{row}\n")
    with pytest.raises(AnswersError, match=f"line 3: .*{message}") as caught:
        read_answers(path)
    assert "KOWALEWSKA" not in str(caught.value)


def test_answers_need_their_columns(tmp_path: Path) -> None:
    path = tmp_path / "answers.csv"
    for head in ("", "source,tag", "action,tag", "KOWALEWSKA"):
        path.write_text(head + "\n")
        with pytest.raises(AnswersError, match="has the columns"):
            read_answers(path)
    path.write_bytes(b"source,action\n\xff\xfe,\n")
    with pytest.raises(AnswersError, match="UTF-8"):
        read_answers(path)


def test_paths_boxes_and_private_blocks(tmp_path: Path) -> None:
    path = tmp_path / "answers.csv"
    rows = [
        ("text_notnull", '00400275[2].(0019,"A, b.",0f)', "", ""),
        ("pixels_hidden", "", "", "1 2 3 4; 5 6 7 8 2"),
    ]
    tag, box = read_answers(answers_csv(path, rows))
    assert tag.path == (Step(0x00400275, None, 2), Step(0x0019000F, "A, b.", 0))
    assert box.boxes == ((0, 1, 2, 3, 4), (2, 5, 6, 7, 8))
    dataset = mammogram()
    block = dataset.private_block(0x0019, "A, b.", create=True)
    block.add_new(0x0F, "LO", "x")
    assert values_at(dataset, (Step(0x0019000F, "A, b.", 0),)) == ["x"]
    assert values_at(dataset, (Step(0x0019000F, "MAKER", 0),)) is None
    assert values_at(dataset, (Step(0x00081032, None, 0), Step(0x00080100, None, 0))) is None
    assert isinstance(tag, Answer)
