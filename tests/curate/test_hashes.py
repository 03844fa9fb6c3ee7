import faiss
import numpy as np
import pytest

from pipelines.curate.hashes import MOST, ORIENTATIONS, candidates, mirrored, unpack


def random_hashes(count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 9, 32)).astype(np.uint8)


def change(hashes, bits, rng):
    flipped = np.zeros(256, bool)
    flipped[rng.choice(256, bits, replace=False)] = True
    return hashes ^ np.packbits(flipped)


def test_texts_are_hashes():
    hashes = random_hashes(3)
    np.testing.assert_array_equal(unpack([h.tobytes().hex() for h in hashes]), hashes)
    assert unpack([]).shape == (0, 9, 32)


@pytest.mark.parametrize("texts", [["00"], ["0" * 575], ["g" * 576], ["0" * 574, "0" * 578]])
def test_texts_that_are_none_are_refused(texts):
    with pytest.raises(ValueError):
        unpack(texts)


def test_mirroring_twice_is_none_and_both_ways_is_a_half_turn():
    hashes = random_hashes(2)
    for orientation in ORIENTATIONS:
        np.testing.assert_array_equal(mirrored(mirrored(hashes, orientation), orientation), hashes)
    np.testing.assert_array_equal(mirrored(mirrored(hashes, "left_right"), "up_down"), mirrored(hashes, "turned"))
    np.testing.assert_array_equal(mirrored(hashes, "same"), hashes)
    assert np.unpackbits(mirrored(hashes, "up_down") ^ hashes).sum() == 2 * 9 * 128


def planted(count=300, seed=3):
    """Random hashes; each of the first 60 has a copy of a number of bits and an orientation."""
    rng = np.random.default_rng(seed)
    hashes = random_hashes(count, seed)
    expected = {}
    for number in range(60):
        bits, orientation = int(rng.integers(0, 40)), ORIENTATIONS[number % 4]
        one, other = (int(v) for v in rng.integers(0, 9, 2)) if orientation == "same" else (0, int(rng.integers(9)))
        hashes[number + 100, other] = change(mirrored(hashes[number, one], orientation), bits, rng)
        expected[number, number + 100] = (bits, number % 4)
    return hashes, expected


def test_all_pairs_that_were_planted_are_found_with_their_bits_and_orientation():
    hashes, expected = planted()
    found = {(a, b): (bits, o) for a, b, bits, o in candidates(hashes).tolist()}
    assert found == expected


def test_sorted_runs_find_what_comparing_all_finds_but_for_far_pairs():
    hashes, expected = planted()
    found = {(a, b): (bits, o) for a, b, bits, o in candidates(hashes, few=0).tolist()}
    assert found.items() <= expected.items()
    close = {pair for pair, (bits, _) in expected.items() if bits < 10}
    assert len(close) > 10
    assert close <= set(found)  # of ten runs one at least has no changed bit


def test_as_faiss_finds():
    rng = np.random.default_rng(5)
    plain = random_hashes(200, 5)[:, 0]
    hashes = np.stack([np.stack([change(h, int(rng.integers(0, 60)), rng) for _ in range(9)]) for h in plain])
    hashes[100:, 4] = [change(h, int(rng.integers(30, 60)), rng) for h in hashes[:100, 7]]
    index = faiss.IndexBinaryFlat(256)
    index.add(hashes.reshape(-1, 32))
    limits, apart, places = index.range_search(hashes.reshape(-1, 32), MOST + 1)
    expected: dict = {}
    for query in range(len(limits) - 1):
        for distance, place in zip(
            apart[limits[query] : limits[query + 1]], places[limits[query] : limits[query + 1]], strict=True
        ):
            one, other = sorted((query // 9, int(place) // 9))
            if one != other:
                expected[one, other] = min(int(distance), expected.get((one, other), 256))
    assert len(expected) > 40
    assert {(a, b): bits for a, b, bits, o in candidates(hashes).tolist() if o == 0} == expected


def test_nothing_among_nothing():
    assert candidates(random_hashes(0)).shape == (0, 4)
    assert candidates(random_hashes(1), few=0).shape == (0, 4)
