"""The answers to a pretend archive ask for all ten actions, of what the files really hold."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread

from pipelines.phantom.archive import write_archive
from tests.phantom.test_archive import digest, rows_of

ACTIONS = {
    "tag_retained",
    "text_notnull",
    "text_retained",
    "text_removed",
    "date_shifted",
    "uid_changed",
    "uid_consistent",
    "patid_consistent",
    "pixels_hidden",
    "pixels_retained",
}
PLAIN = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2")


class Answered:
    def __init__(self, root: Path) -> None:
        self.inbox, self.truth = root / "inbox", root / "truth"
        write_archive(self.inbox, patients=12, seed=4, scale=0.11, truth=self.truth)
        self.answers = rows_of(self.truth / "answers.csv")
        self.files = [r for r in rows_of(self.truth / "truth.csv") if r["kind"] == "image" and r["role"] == "original"]
        reports = [r for r in rows_of(self.truth / "truth.csv") if r["kind"] == "sr"]
        self.objects = {row["sop_instance_uid"]: self._read(row) for row in [*self.files, *reports]}

    def _read(self, row: dict[str, str]) -> Dataset:
        data = (self.inbox / row["path"]).read_bytes()
        if row["member"]:
            with zipfile.ZipFile(io.BytesIO(data)) as members:
                data = members.read(row["member"])
        return dcmread(io.BytesIO(data))

    def about(self, *actions: str) -> list[dict[str, str]]:
        return [row for row in self.answers if row["action"] in actions]


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory) -> Answered:
    return Answered(tmp_path_factory.mktemp("answered"))


def value_at(dataset: Dataset, path: str) -> str:
    *items, keyword = path.split(".")
    for item in items:
        name, _, number = item.rstrip("]").partition("[")
        dataset = dataset[name][int(number or 0)]
    return str(dataset[keyword].value)


def test_every_object_is_asked_about_and_every_action_is(answered: Answered) -> None:
    assert {row["action"] for row in answered.answers} == ACTIONS
    assert {row["sop_instance_uid"] for row in answered.answers} == set(answered.objects)


def test_values_are_those_of_the_files(answered: Answered) -> None:
    for row in answered.about("date_shifted", "uid_changed", "uid_consistent", "patid_consistent"):
        assert value_at(answered.objects[row["sop_instance_uid"]], row["tag"]) == row["value"]
    for row in answered.about("text_removed"):
        assert row["value"], row["tag"]
        words = row["value"].replace("\\", " ").split()
        told = " ".join(str(element.value) for element in answered.objects[row["sop_instance_uid"]].iterall())
        assert any(word in told for word in words), row["tag"]
    for row in answered.about("tag_retained"):
        assert row["tag"] in answered.objects[row["sop_instance_uid"]]


def test_boxes_lie_on_text_and_on_markers(answered: Answered) -> None:
    burned = {r["sop_instance_uid"]: r["box"] for r in answered.files if r["box"]}
    hidden = {r["sop_instance_uid"]: r["box"] for r in answered.about("pixels_hidden")}
    assert hidden == burned
    assert burned
    markers = 0
    for row in answered.about("pixels_retained"):
        uid = row["sop_instance_uid"]
        if uid not in burned:
            assert not row["box"]
            continue
        markers += 1
        dataset = answered.objects[uid]
        if dataset.file_meta.TransferSyntaxUID not in PLAIN:
            continue
        top, left, bottom, right = map(int, row["box"].split())
        pixels = dataset.pixel_array.astype(float)
        inside = pixels[top:bottom, left:right]
        assert np.ptp(inside) > 0.5 * np.ptp(pixels)  # bright letters on air
    assert markers


def test_same_seed_same_answers(answered: Answered, tmp_path: Path) -> None:
    write_archive(tmp_path / "inbox", patients=12, seed=4, scale=0.11, truth=tmp_path / "truth")
    assert digest(tmp_path / "truth") == digest(answered.truth)
