"""Percentiles by sorting against NumPy's own."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as drawn

from pipelines.normalize.percentiles import median, percentiles

ARRAYS = st.sampled_from([np.float32, np.float64, np.uint16, np.int32]).flatmap(
    lambda kind: drawn.arrays(
        kind,
        drawn.array_shapes(max_dims=2, max_side=40),
        elements=st.integers(0, 4095) if np.dtype(kind).kind in "ui" else st.floats(-4095, 4095, width=32),
    )
)


@settings(deadline=None, max_examples=200)
@given(ARRAYS, st.lists(st.floats(0, 100), min_size=1, max_size=3))
def test_percentiles_are_numpys_to_the_last_bit(values, shares):
    assert np.array_equal(percentiles(values, *shares), np.percentile(values, shares))


@settings(deadline=None, max_examples=200)
@given(ARRAYS)
def test_the_median_is_numpys_to_the_last_bit(values):
    assert median(values) == np.median(values)
