import numpy as np
import pytest

from pipelines.label.density_model import CEILING, LEAST_PATIENTS
from pipelines.label.percent_density import Measures, measure
from pipelines.label.pixels import can_learn, learn, measure_pictures, pixel_votes
from pipelines.storage.tables import IMAGES, VOTES
from pipelines.storage.workers import Workers
from tests.label.test_percent_density import drawing, picture_of

VIEWS = ("CC", "MLO")


def image(patient: int, view: str, **facts):
    name = f"2.25.{patient:04d}{VIEWS.index(view)}"
    return {
        "image_id": name,
        "delivery": "D-1",
        "file_id": f"F-{name}",
        "object_sha256": "0",
        "status": "kept",
        "patient": f"P-{patient}",
        "accession": f"A-{patient}",
        "study_instance_uid": f"S-{patient}",
        "laterality": "L",
        "view": view,
        "vendor_group": "one",
        "shard": "a.arrow",
        "shard_row": 2 * patient + VIEWS.index(view),
        **facts,
    }


def cohort(patients: int = 80):
    """Rows of IMAGES, their measures, and the densities that these follow, loosely."""
    rng = np.random.default_rng(0)
    rows, measures, density_of = [], {}, {}
    for patient in range(patients):
        level = rng.uniform(0, 1)
        word = "ABCD"[int(np.clip(4 * level + rng.normal(0, 0.4), 0, 3))]
        for view in VIEWS:
            rows.append(image(patient, view))
            noise = rng.normal(0, 0.03, 8)
            measures[rows[-1]["image_id"]] = Measures(*(0.1 + 0.6 * level + noise[0], *(0.3 + noise[1:])))
            density_of[rows[-1]["image_id"]] = word
    return IMAGES.build(rows), measures, density_of


def even(patient: str) -> bool:
    return int(patient[2:]) % 2 == 0


def test_votes_are_of_the_contract_low_and_alike_within_a_breast():
    images, measures, density_of = cohort()
    model = learn(images, measures, density_of, even)
    votes = pixel_votes(images, measures, model)
    table = VOTES.build(votes)
    assert len(table) == len(images)
    by_image = {vote["evidence_id"]: vote for vote in votes}
    assert set(by_image) == set(density_of)
    for vote in votes:
        assert vote["source"] == "pixels"
        assert vote["sop_instance_uid"] == vote["evidence_id"]
        assert 0 < vote["confidence"] <= model.cap <= CEILING
        other = by_image[vote["evidence_id"][:-1] + "0"]
        assert (vote["densities"], vote["confidence"]) == (other["densities"], other["confidence"])
    held_out = [v for v in votes if not even(v["patient"])]
    apart = ["ABCD".index(v["densities"]) - "ABCD".index(density_of[v["evidence_id"]]) for v in held_out]
    assert np.abs(apart).mean() < 0.7


def test_only_training_patients_teach():
    images, measures, density_of = cohort()
    turned = {k: d if even(f"P-{int(k[5:9])}") else "ABCD"[3 - "ABCD".index(d)] for k, d in density_of.items()}
    one, other = (learn(images, measures, densities, even) for densities in (density_of, turned))
    assert one == other
    assert one != learn(images, measures, turned, lambda patient: True)
    assert one.patients == 40


def test_order_does_not_matter():
    images, measures, density_of = cohort()
    turned = images.take(list(range(len(images)))[::-1])
    model, again = (learn(table, measures, density_of, even) for table in (images, turned))
    assert model.to_json() == again.to_json()
    assert pixel_votes(images, measures, model) == pixel_votes(turned, measures, again)


def test_few_patients_no_model_and_nothing_measured_no_votes():
    images, measures, density_of = cohort()
    assert learn(images, measures, density_of, lambda patient: patient < "P-3") is None
    assert learn(images, {}, density_of, even) is None
    assert learn(images, measures, {}, even) is None
    model = learn(images, measures, density_of, even)
    assert pixel_votes(images, {}, model) == []


def test_unnamed_patients_teach_nothing_and_stand_alone():
    images, measures, density_of = cohort()
    model = learn(images, measures, density_of, even)
    rows = [{**row, "patient": None} for row in images.to_pylist()]
    assert learn(IMAGES.build(rows), measures, density_of, lambda patient: True) is None
    votes = pixel_votes(IMAGES.build(rows), measures, model)
    assert len(votes) == len(rows)
    said = {v["evidence_id"]: v["confidence"] for v in votes}
    assert sum(said[f"2.25.{i:04d}0"] != said[f"2.25.{i:04d}1"] for i in range(80)) > 20


def test_a_vendor_that_too_few_taught_gets_no_votes():
    images, measures, density_of = cohort()
    rows = [{**r, "vendor_group": "few"} if r["patient"] in ("P-2", "P-3", "P-4") else r for r in images.to_pylist()]
    rows[0]["vendor_group"] = None
    images = IMAGES.build(rows)
    votes = pixel_votes(images, measures, learn(images, measures, density_of, even))
    assert len(votes) == 160 - 6 - 1
    assert not {v["patient"] for v in votes} & {"P-2", "P-3", "P-4"}


@pytest.mark.parametrize("status", ["kept", "excluded"])
def test_pictures_are_measured_once_where_they_were_kept(status):
    drawn = {view: picture_of(drawing(3, view)) for view in VIEWS}
    rows = [image(1, "CC"), image(1, "MLO", status=status), image(1, "CC", delivery="D-2"), image(2, "CC")]
    asked = []

    def picture(delivery, shard, row):
        asked.append((delivery, shard, row))
        return np.zeros((320, 256), np.uint16) if row == 4 else drawn[VIEWS[row - 2]]

    rows[2]["file_id"] = "F-again"
    found = measure_pictures(IMAGES.build(rows), picture)
    views = VIEWS if status == "kept" else VIEWS[:1]
    assert found == {image(1, view)["image_id"]: measure(drawn[view], view) for view in views}
    assert len(asked) == len(views) + 1


def blank_or_drawn(delivery: str, shard: str, row: int) -> np.ndarray:
    if shard == "gone.arrow":
        raise FileNotFoundError
    return picture_of(drawing(row % 4, "CC"))


def test_processes_measure_alike_and_what_cannot_be_read_is_no_silence():
    images = IMAGES.build([image(n, "CC") for n in range(4)])
    assert measure_pictures(images, blank_or_drawn, Workers(2, chunk=1)) == measure_pictures(images, blank_or_drawn)
    with pytest.raises(RuntimeError, match="error_FileNotFoundError"):
        measure_pictures(IMAGES.build([image(1, "CC", shard="gone.arrow")]), blank_or_drawn)


def test_enough_training_patients_are_counted_before_anything_is_measured():
    images, _, density_of = cohort(2 * LEAST_PATIENTS)
    assert can_learn(images, density_of, even)
    assert not can_learn(images, density_of, lambda patient: even(patient) and patient != "P-0")
    assert not can_learn(images, {}, even)
