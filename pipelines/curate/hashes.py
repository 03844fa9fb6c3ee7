"""Which pictures have hashes close enough that they may be copies of one another: a search that grows with the set.

Up to ``FEW`` pictures all are compared with all. Beyond, two hashes are compared only where one of ten runs of 24 bits
is the same in both (multi-index hashing, Norouzi et al. 2012): the runs are sorted, so that the work grows with the
pictures and hardly with their pairs. Of copies, which have nine hashes each, few go unseen by that.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

HASHES, BYTES = 9, 32
"""Hashes of a picture, and the bytes of each."""

MOST = 52
"""Bits by which two hashes of copies may differ."""

FEW = 1000
"""Pictures up to which all are compared with all."""

KEYS, KEY_BYTES = 10, 3
"""Runs of bits by which hashes are sorted, and their length."""

ORIENTATIONS = ("same", "left_right", "up_down", "turned")
"""How a copy may lie to the other: as it is, mirrored either way, or both, which is turned by half."""

_CHUNK = 1 << 18

Pairs = NDArray[np.int32]
"""Rows of first picture, second picture (first < second), bits apart, place in ORIENTATIONS."""


def unpack(texts: Sequence[str]) -> NDArray[np.uint8]:
    """Hashes (n, 9, 32) from the hexadecimal texts of level_b.images. Raises ValueError for a text that is none."""
    flat = np.frombuffer(bytes.fromhex("".join(texts)), np.uint8)
    if any(len(text) != 2 * HASHES * BYTES for text in texts):
        raise ValueError("a picture's hash has another length")
    return flat.reshape(len(texts), HASHES, BYTES)


def mirrored(hashes: NDArray[np.uint8], orientation: str) -> NDArray[np.uint8]:
    """The hashes (…, 32) that the mirrored pictures have: coefficients of odd frequency along the axis change sign."""
    down, across = (axis.ravel() for axis in np.mgrid[:16, :16])
    order = np.lexsort((across, down, down + across))
    odd = np.zeros(256, bool)
    if orientation in ("left_right", "turned"):
        odd ^= across[order] % 2 == 1
    if orientation in ("up_down", "turned"):
        odd ^= down[order] % 2 == 1
    return hashes ^ np.packbits(odd)


def candidates(hashes: NDArray[np.uint8], few: int = FEW) -> Pairs:
    """Pairs of pictures (n, 9, 32) with hashes at most MOST bits apart, each once with its least distance, in order.

    Any hash of the one may match any of the other; mirrored, the plain one must match.
    """
    search = _all_pairs if len(hashes) <= few else _sorted_runs
    found = [np.empty((0, 4), np.int32)]
    for number, orientation in enumerate(ORIENTATIONS):
        flipped = hashes if number == 0 else mirrored(hashes[:, :1], orientation)
        for pairs in search(hashes, flipped, number == 0):
            found.append(np.column_stack([pairs, np.full(len(pairs), number, np.int32)]))
    return _least(np.concatenate(found))


def _least(pairs: Pairs) -> Pairs:
    low, high = np.minimum(pairs[:, 0], pairs[:, 1]), np.maximum(pairs[:, 0], pairs[:, 1])
    order = np.lexsort((pairs[:, 3], pairs[:, 2], high, low))
    found = np.column_stack([low, high, pairs[:, 2], pairs[:, 3]])[order]
    first = np.ones(len(found), bool)
    first[1:] = (found[1:, :2] != found[:-1, :2]).any(axis=1)
    return found[first]


def _all_pairs(hashes: NDArray[np.uint8], flipped: NDArray[np.uint8], same: bool) -> Iterator[Pairs]:
    words, others = (np.ascontiguousarray(h).view("<u8") for h in (hashes, flipped))
    for number in range(len(words)):
        rest = others[number + 1 :] if same else others
        apart = np.bitwise_count(rest[:, :, None] ^ words[number]).sum(-1, dtype=np.int32).min(axis=(1, 2), initial=256)
        near = np.flatnonzero(apart <= MOST)
        second = near + (number + 1 if same else 0)
        keep = second != number
        yield np.column_stack([np.full(len(near), number), second, apart[near]])[keep].astype(np.int32)


def _sorted_runs(hashes: NDArray[np.uint8], flipped: NDArray[np.uint8], same: bool) -> Iterator[Pairs]:
    """Pairs that share a run of bits, of which those near enough; a pair may come several times."""
    owner = np.repeat(np.arange(len(hashes), dtype=np.int32), hashes.shape[1])
    flat = hashes.reshape(-1, BYTES)
    queries = np.zeros(len(flat), bool)
    if not same:
        flat = np.concatenate([flat, flipped.reshape(-1, BYTES)])
        owner = np.concatenate([owner, np.repeat(np.arange(len(flipped), dtype=np.int32), flipped.shape[1])])
        queries = np.arange(len(flat)) >= len(queries)
    words = np.ascontiguousarray(flat).view("<u8")
    for run in range(KEYS):
        part = flat[:, run * KEY_BYTES : (run + 1) * KEY_BYTES].astype(np.uint32)
        key = part[:, 0] << 16 | part[:, 1] << 8 | part[:, 2]
        for one, other in _sharing(key.astype(np.uint32, copy=False)):
            wanted = (owner[one] != owner[other]) & (same | (queries[one] != queries[other]))
            yield from _near(words, owner, one[wanted], other[wanted])


def _sharing(key: NDArray[np.uint32]) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """All pairs of places with the same key, in batches."""
    order = np.argsort(key, kind="stable")
    ranked = key[order]
    alive, step = np.arange(len(order)), 1
    while True:
        alive = alive[alive + step < len(order)]
        alive = alive[ranked[alive] == ranked[alive + step]]
        if not len(alive):
            return
        yield order[alive], order[alive + step]
        step += 1


def _near(
    words: NDArray[np.uint64], owner: NDArray[np.int32], one: NDArray[np.intp], other: NDArray[np.intp]
) -> Iterator[Pairs]:
    for start in range(0, len(one), _CHUNK):
        a, b = one[start : start + _CHUNK], other[start : start + _CHUNK]
        apart = np.bitwise_count(words[a] ^ words[b]).sum(-1, dtype=np.int32)
        near = apart <= MOST
        yield np.column_stack([owner[a[near]], owner[b[near]], apart[near]])
