import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.fft import dctn
from scipy.stats import rankdata

from pipelines.normalize import fingerprint as module
from pipelines.normalize.fingerprint import FRAMES, fingerprint


def a_picture(seed=0, rows=640, columns=512):
    """Clouds in a half ellipse, gray values 1 to 2047."""
    clouds = cv2.GaussianBlur(np.random.default_rng(seed).random((rows, columns), np.float32), (0, 0), rows / 40)
    y, x = np.mgrid[:rows, :columns]
    inside = ((y - rows / 2) / (0.45 * rows)) ** 2 + (x / (0.7 * columns)) ** 2 <= 1
    clouds -= clouds[inside].min()
    return np.where(inside, 1 + clouds / clouds[inside].max() * 2046, 0).astype(np.uint16)


def bits(text):
    return np.unpackbits(np.frombuffer(bytes.fromhex(text), np.uint8).reshape(len(FRAMES), 32), axis=1)


def test_nine_hashes_of_256_bits_of_which_the_first_is_0():
    found = bits(fingerprint(a_picture()))
    assert found.shape == (9, 256)
    assert not found[:, 0].any()
    assert 0.3 < found.mean() < 0.7
    assert len({row.tobytes() for row in found}) == 9


def test_any_rising_change_of_gray_leaves_the_hash_as_it_is():
    """The ranks are taken after the picture is reduced, so the change is one that a mean over pixels does not feel."""
    picture = a_picture(rows=256, columns=205)
    rising = np.cumsum(np.random.default_rng(1).integers(1, 3, 4096))
    rising[0] = 0
    assert rising[picture.max()] < 65536
    assert fingerprint(rising.astype(np.uint16)[picture]) == fingerprint(picture)


def test_another_gamma_at_full_size_changes_few_bits():
    picture = a_picture(rows=1280, columns=1024)
    other = np.where(picture > 0, np.maximum(1, np.rint(4095 * (picture / 2047) ** 1.6)), 0).astype(np.uint16)
    assert (bits(fingerprint(picture)) ^ bits(fingerprint(other))).sum(1).max() <= 8


def test_other_pictures_have_other_hashes():
    found = [bits(fingerprint(a_picture(seed))) for seed in range(6)]
    apart = [(a[0] ^ b[0]).sum() for n, a in enumerate(found) for b in found[:n]]
    assert min(apart) > 60


def test_bits_are_the_signs_of_scipys_transform_in_the_order_that_is_told():
    picture = a_picture()
    reduced = module._reduced(picture)
    ranks = module._ranks(reduced)
    weights = ranks * ranks
    y, x = np.mgrid[: ranks.shape[0], : ranks.shape[1]]
    center = [np.average(axis, weights=weights) for axis in (x, y)]
    spread = [np.sqrt(np.average((axis - c) ** 2, weights=weights)) for axis, c in zip((x, y), center, strict=True)]
    smooth = cv2.GaussianBlur(ranks, (0, 0), 1.5 * max(spread) / 32)
    seen = module._framed(smooth, tuple(center), tuple(spread), FRAMES[0])
    samples = np.zeros(seen.shape)
    samples[seen > 0] = (rankdata(seen[seen > 0], "ordinal") - 0.5) / np.count_nonzero(seen) - 0.5
    coefficients = dctn(samples)
    order = sorted(((u, v) for u in range(16) for v in range(16)), key=lambda f: (f[0] + f[1], *f))
    expected = [u + v > 0 and coefficients[u, v] > 0 for u, v in order]
    assert (bits(fingerprint(picture))[0] != expected).sum() <= 1


@pytest.mark.parametrize("axis", [0, 1])
def test_mirrored_the_plain_hash_changes_where_the_frequency_is_odd(axis):
    picture = a_picture()
    order = sorted(((u, v) for u in range(16) for v in range(16)), key=lambda f: (f[0] + f[1], *f))
    odd = np.array([f[axis] % 2 for f in order])
    plain, mirrored = (bits(fingerprint(p))[0] for p in (picture, np.flip(picture, axis)))
    assert ((plain ^ mirrored) != odd).sum() <= 2


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 4095), st.integers(0, 2**32 - 1))
def test_any_picture_has_a_hash_and_always_the_same(rows, columns, top, seed):
    picture = np.random.default_rng(seed).integers(0, top + 1, (rows, columns)).astype(np.uint16)
    found = fingerprint(picture)
    assert len(found) == 576
    assert fingerprint(picture.copy()) == found
