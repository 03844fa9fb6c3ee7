import hashlib
import json
from itertools import pairwise

from pipelines.readiness.certificate import hindrances, write_certificate
from pipelines.readiness.criteria import evaluate, load_criteria
from pipelines.readiness.funnel import funnel
from pipelines.storage.tables import DATASET, EXCLUSIONS, INVENTORY, OBJECTS, SYNTHETIC


def steps_of(world):
    inventory = INVENTORY.build([r for rows in world.inventory.values() for r in rows])
    objects = OBJECTS.build([r for rows in world.objects.values() for r in rows])
    return funnel(
        inventory=inventory,
        objects=objects,
        images=world.all_images(),
        dataset=DATASET.build(world.dataset),
        exclusions=EXCLUSIONS.build(world.exclusions),
    )


def certify(world, folder):
    deliveries = {name: world.delivery_figures(name) for name in world.inventory}
    figures = world.set_figures(folder / "model")
    return write_certificate(
        folder,
        evaluate(figures, deliveries),
        figures=figures,
        deliveries=deliveries,
        funnel=steps_of(world),
        dataset=DATASET.build(world.dataset),
        synthetic=SYNTHETIC.build(world.synthetic),
        key_fingerprint="0123456789ab",
        versions={"code": "1"},
    )


def test_the_certificate_says_all(world, tmp_path):
    content = certify(world, tmp_path)
    assert json.loads((tmp_path / "readiness.json").read_text()) == content
    assert (content["level"], content["rung"], content["next"]) == ("A", "synthetic", [])
    assert [c["id"] for c in content["criteria"]] == [c.id for c in load_criteria()]
    assert content["deliveries"]["D-1"]["level"] == "B"
    assert content["classes"]["train"] == {"B CC": 1, "B MLO": 1, "C CC": 1, "C MLO": 1}
    assert sum(content["classes"]["synthetic"].values()) == 4
    assert content["key_fingerprint"] == "0123456789ab"


def test_nothing_of_the_source_is_in_it(world, tmp_path):
    certify(world, tmp_path)
    text = (tmp_path / "readiness.json").read_text()
    assert not any(word in text for word in ("PAT5678", "ACC1234", "1.2.0.0", "P-0"))


def test_same_data_same_bytes(world, tmp_path):
    digests = set()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        certify(world, tmp_path / name)
        digests.add(hashlib.sha256((tmp_path / name / "readiness.json").read_bytes()).hexdigest())
    assert len(digests) == 1


def test_what_hinders_the_next_level_is_named(world, tmp_path):
    world.images["D-1"][0]["breast_fraction"] = 0.0
    content = certify(world, tmp_path)
    assert (content["level"], content["next"]) == ("C", ["breast_found"])
    assert hindrances(evaluate({}))[0].criterion.level == "D"


def test_the_funnel_loses_nothing_unsaid(world):
    world.objects["D-1"][0].update(status="refused", reason="residual_identifier")
    world.images["D-1"][0].update(status="excluded", reason="spot")
    del world.dataset[0]
    world.images["D-2"][0].update(status="failed", reason="truncated")
    world.exclusions.append({"image_id": "2.25.10", "reason": "no_density"})
    del world.dataset[3]
    steps = steps_of(world)
    counts = {s.name: s.count for s in steps}
    assert counts["files found"] == 14
    assert counts["files accepted"] == 10
    assert counts["DICOM objects"] == 8
    assert counts["objects de-identified"] == 7
    assert counts["mammograms normalized"] == 6
    lost = {reason: n for s in steps for reason, n in s.lost.items()}
    assert lost["quarantined: truncated"] == 2
    assert lost["duplicate"] == 2
    assert lost["no object: reports"] == 2
    assert lost["refused: residual_identifier"] == 1
    assert lost["excluded: spot"] == 1
    assert lost["failed: truncated"] == 1
    assert lost["excluded: no_density"] == 1


def test_an_object_delivered_twice_leaves_by_name(world):
    world.images["D-2"].append({**world.images["D-1"][0], "delivery": "D-2", "file_id": "F-again"})
    step = next(s for s in steps_of(world) if s.name == "images of the level A set")
    assert step.lost == {"delivered before": 1}


def test_each_step_and_its_losses_make_the_step_before(world):
    steps = steps_of(world)
    for before, after in pairwise(steps):
        assert after.count + sum(after.lost.values()) == before.count


def test_objects_that_are_no_image_leave_by_name(world):
    world.objects["D-1"].append({"file_id": "F-x", "status": "written", "modality": "SR"})
    step = next(s for s in steps_of(world) if s.name == "mammograms normalized")
    assert step.lost == {"no image": 1}
