from collections import Counter

import pytest

from pipelines.curate.selection import select
from pipelines.curate.splits import split_of


def reasons(level_b, **options):
    found = select(level_b.images, level_b.labels, **options)
    kept = sum(s == "kept" for s in level_b.images.column("status").to_pylist())
    assert len(found.included) + len(found.exclusions) == kept
    return {e["image_id"]: (e["reason"], e["duplicate_of"]) for e in found.exclusions}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"density": None}, "no_density"),
        ({"view": None}, "view_unknown"),
        ({"patient": None}, "patient_unknown"),
        ({"vendor_group": None}, "vendor_unknown"),
    ],
)
def test_each_reason(row, reason, build):
    assert reasons(build([{}, row])) == {"2.25.101": (reason, None)}


def test_an_unknown_side_stays(build):
    assert reasons(build([{"laterality": None}])) == {}


def test_a_group_without_a_curve(build):
    level_b = build([{}, {}])
    first = level_b.images.column("vendor_group")[0].as_py()
    assert reasons(level_b, vendor_groups={first}) == {"2.25.101": ("no_vendor_curve", None)}


def test_the_copy_delivered_first_stands(build):
    level_b = build([{"delivery": "D-2", "number": 5}, {"delivery": "D-1", "number": 5}, {"number": 6}])
    assert reasons(level_b) == {"2.25.100": ("duplicate", "2.25.101")}


def test_a_copy_without_a_label_does_not_displace_one_that_has(build):
    level_b = build([{"number": 5, "density": None}, {"number": 5}])
    assert reasons(level_b) == {"2.25.100": ("no_density", None)}


def test_copies_that_disagree_are_all_out(build):
    level_b = build([{"number": 5}, {"number": 5, "density": "C"}, {"number": 5}])
    assert set(reasons(level_b).values()) == {("copies_disagree", None)}


def test_one_instance_in_three_deliveries_counts_once(build):
    level_b = build([{"image_id": "2.25.7", "delivery": f"D-{n}", "number": 1} for n in range(3)])
    assert reasons(level_b) == {
        "F-001": ("same_instance", "2.25.7"),
        "F-002": ("same_instance", "2.25.7"),
    }


def test_what_level_b_did_not_keep_is_no_concern(build):
    level_b = build([{"status": "excluded", "reason": "spot"}, {"status": "failed", "reason": "truncated"}, {}])
    found = select(level_b.images, level_b.labels)
    assert [r["image_id"] for r in found.included] == ["2.25.102"]
    assert found.exclusions == ()


def test_patients_who_share_an_image_share_a_split(build):
    shared = [{"patient": f"P-{n:02d}", "number": 500 + n // 2} for n in range(40)]
    own = [{"patient": f"P-{n:02d}"} for n in range(40)]
    found = select(*(lambda b: (b.images, b.labels))(build(shared + own)))
    split = {r["patient"]: r["split"] for r in found.included}
    assert all(split[f"P-{n:02d}"] == split[f"P-{n + 1:02d}"] for n in range(0, 40, 2))
    assert {r["cluster"] for r in found.included} == {f"P-{n:02d}" for n in range(0, 40, 2)}
    assert set(split.values()) == {"train", "validation", "test"}


def test_no_patient_is_in_two_splits(level_b):
    found = select(level_b.images, level_b.labels)
    splits = {(r["patient"], r["split"]) for r in found.included}
    assert max(Counter(patient for patient, _ in splits).values()) == 1
    assert {r["patient"]: r["split"] for r in found.included} == found.split_of_patient


def test_a_patient_with_no_eligible_image_has_the_split_of_the_hash(build):
    found = select(*(lambda b: (b.images, b.labels))(build([{}, {"patient": "P-77", "density": None}])))
    assert found.split_of_patient["P-77"] == split_of("P-77")


def test_near_copies_are_out_and_join_their_patients(build):
    level_b = build([{"patient": "P-2"}, {"patient": "P-1"}, {"patient": "P-3", "number": 1}, {"patient": "P-4"}])
    near = [("2.25.100", "2.25.101")]
    assert reasons(level_b, near=near) == {
        "2.25.101": ("near_duplicate", "2.25.100"),
        "2.25.102": ("near_duplicate", "2.25.100"),  # an exact copy of the near one
    }
    found = select(level_b.images, level_b.labels, near=near)
    assert found.cluster_of == {"P-1": "P-1", "P-2": "P-1", "P-3": "P-1", "P-4": "P-4"}


def test_near_copies_that_disagree_are_all_out(build):
    level_b = build([{"density": "A"}, {"density": "B"}])
    assert set(reasons(level_b, near=[("2.25.100", "2.25.101")]).values()) == {("copies_disagree", None)}


def test_who_has_a_split_keeps_it(build):
    level_b = build([{"patient": f"P-{n:02d}"} for n in range(30)] + [{"patient": "P-77", "density": None}])
    standing = {f"P-{n:02d}": "test" for n in range(15)} | {"P-77": "validation"}
    found = select(level_b.images, level_b.labels, standing=standing)
    assert standing.items() <= found.split_of_patient.items()
    assert {r["split"] for r in found.included} == {"train", "validation", "test"}
