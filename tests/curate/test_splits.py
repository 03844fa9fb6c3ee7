import hashlib
from collections import Counter

import pytest

from pipelines.curate.splits import Proportions, assign_splits, place, split_of, standing_splits


def people(n, start=0):
    return [f"P-{hashlib.md5(str(i).encode()).hexdigest()[:16]}" for i in range(start, start + n)]


def one(clusters):
    """All clusters of one density."""
    return dict.fromkeys(clusters, ("B",))


def test_proportions_of_many_patients():
    counts = Counter(assign_splits(one(people(20000))).values())
    assert counts["train"] / 20000 == pytest.approx(0.70, abs=0.012)
    assert counts["validation"] / 20000 == pytest.approx(0.15, abs=0.01)
    assert counts["test"] / 20000 == pytest.approx(0.15, abs=0.01)


def test_the_hash_is_sha256_of_the_id():
    digest = hashlib.sha256(b"split\x00P-1").hexdigest()
    assert place("P-1") == int(digest[:12], 16) / 2**48


def test_in_a_large_set_new_patients_move_nobody():
    before = assign_splits(one(people(1000)))
    after = assign_splits(one(people(1100)), standing=before)
    assert before.items() <= after.items()
    assert sum(split_of(p) == s for p, s in after.items()) > 1050  # what the hash gives is seldom changed


@pytest.mark.parametrize("n", [10, 11, 15, 20, 40, 150])
def test_a_small_set_gets_its_least_number_in_every_split(n):
    for start in range(0, 3000, 150):
        counts = Counter(assign_splits(one(people(n, start))).values())
        assert counts["train"] >= 0.35 * n
        assert counts["validation"] >= 0.075 * n
        assert counts["test"] >= 0.075 * n
        assert sum(counts.values()) == n


def test_the_nearest_on_the_line_are_borrowed_and_no_other():
    everyone = sorted(people(5000), key=place)
    low = everyone[:10]
    near = [p for p in everyone if place(p) < 0.70][-2:]
    split = assign_splits(one([*low, *near]))
    assert [p for p, s in split.items() if s != "train"] == sorted(near)
    assert sorted(split[p] for p in near) == ["test", "validation"]


def test_fewer_than_ten_are_left_to_the_hash():
    low = [p for p in people(200) if place(p) < 0.70][:9]
    assert set(assign_splits(one(low)).values()) == {"train"}


def test_order_and_repetition_do_not_matter():
    assert assign_splits(one(people(30))) == assign_splits(one([*people(30)[::-1], *people(5)]))


def test_a_split_of_no_share_stays_empty():
    assert set(assign_splits(one(people(50)), Proportions(0.8, 0.2, 0.0)).values()) == {"train", "validation"}


@pytest.mark.parametrize("shares", [(0.7, 0.15, 0.2), (1.1, -0.1, 0.0)])
def test_wrong_proportions_are_refused(shares):
    with pytest.raises(ValueError, match="proportions"):
        Proportions(*shares)


def test_rare_densities_reach_every_split_of_a_small_set():
    for start in range(0, 2000, 100):
        clusters = people(40, start)
        density_of = {c: "A" if i < 4 else "B" if i < 20 else "C" if i < 37 else "D" for i, c in enumerate(clusters)}
        split = assign_splits({c: (d,) for c, d in density_of.items()})
        of = {d: Counter(split[c] for c in clusters if density_of[c] == d) for d in "ABCD"}
        assert of["A"]["train"] >= 2
        assert of["A"]["validation"] >= 1
        assert of["A"]["test"] >= 1
        assert of["B"]["train"] >= 6
        assert of["D"]["train"] >= 1


def strata_of(clusters):
    """Density and vendor, and density: by the cluster's id, as skewed as in screening."""
    strata = {}
    for cluster in clusters:
        at = hashlib.md5(b"stratum" + cluster.encode()).digest()
        density, vendor = "ABBBBCCCCD"[at[0] % 10], ("Hologic", "GE", "Siemens")[at[1] % 3]
        strata[cluster] = (f"{density} {vendor}", density)
    return strata


@pytest.mark.parametrize("n", [10, 20, 50, 200, 1000])
def test_a_tenth_more_patients_move_nobody(n):
    for start in range(0, 2000, 400):
        before = assign_splits(strata_of(people(n, start)))
        after = assign_splits(strata_of(people(n + n // 10, start)), standing=before)
        assert before.items() <= after.items()
        assert len(after) == n + n // 10


def test_a_set_that_grows_patient_by_patient_moves_nobody():
    standing = {}
    for n in range(1, 120):
        split = assign_splits(strata_of(people(n)), standing=standing)
        assert standing.items() <= split.items()
        standing = split
    assert set(standing.values()) == {"train", "validation", "test"}


def test_strata_of_a_large_set_lie_within_two_percent():
    strata = strata_of(people(60000))
    split = assign_splits(strata)
    of = {s: Counter(split[c] for c in split if strata[c][0] == s) for s in {s for s, _ in strata.values()}}
    assert len(of) == 12
    for counts in of.values():
        shares = [counts[s] / sum(counts.values()) for s in ("train", "validation", "test")]
        assert shares == pytest.approx([0.70, 0.15, 0.15], abs=0.02)


def test_small_strata_of_density_and_vendor_reach_every_split():
    for start in range(0, 1000, 100):
        strata = {c: (f"B {'GE' if n < 8 else 'Hologic'}", "B") for n, c in enumerate(people(30, start))}
        split = assign_splits(strata)
        few = Counter(split[c] for c in strata if strata[c][0] == "B GE")
        assert min(few[s] for s in ("train", "validation", "test")) >= 1


def test_patients_of_unlike_splits_who_share_an_image_go_to_training():
    cluster_of = {"P-1": "P-1", "P-2": "P-1", "P-3": "P-3", "P-4": "P-3", "P-5": "P-5"}
    standing = {"P-1": "test", "P-2": "train", "P-3": "test", "P-4": "validation", "P-9": "test"}
    assert standing_splits(cluster_of, standing) == {"P-1": "train", "P-3": "validation"}


def test_proportions_are_parsed():
    assert Proportions.parse("0.8, 0.1,0.1") == Proportions(0.8, 0.1, 0.1)
    for wrong in ("", "0.7,0.3", "a,b,c", "0.7,0.2,0.2", "nan,0.5,0.5", "1.2,-0.1,-0.1"):
        with pytest.raises(ValueError, match="proportions"):
            Proportions.parse(wrong)
