"""Results travel between processes whole, their arrays by a file that nobody finds afterwards."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from pipelines.storage.parcels import pack

KINDS = st.sampled_from([np.uint16, np.float32, np.int64, np.bool_])


@given(
    st.lists(arrays.arrays(KINDS, arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=5)), max_size=4),
    st.booleans(),
)
def test_what_is_unpacked_is_what_was_packed(
    tmp_path_factory: pytest.TempPathFactory, values: list[np.ndarray], turned: bool
) -> None:
    folder = tmp_path_factory.mktemp("parcels")
    sent = [value.T if turned else value for value in values]
    got = pack({"arrays": sent, "name": "x"}, folder).unpack()
    assert got["name"] == "x"
    assert [a.dtype for a in got["arrays"]] == [a.dtype for a in sent]
    for one, other in zip(got["arrays"], sent, strict=True):
        np.testing.assert_array_equal(one, other)
    assert not list(folder.iterdir())


def test_file_holds_the_arrays_bytes_and_nothing_else(tmp_path: Path) -> None:
    parcel = pack(("Jane Doe", np.arange(300, dtype=np.uint16), np.arange(5)), tmp_path)
    (file,) = tmp_path.iterdir()
    assert file.read_bytes() == np.arange(300, dtype=np.uint16).tobytes() + np.arange(5).tobytes()
    assert len(parcel.pickled) < 500


def test_unpacked_arrays_are_private_and_may_be_changed(tmp_path: Path) -> None:
    parcel = pack(np.zeros(10_000), tmp_path)
    array = parcel.unpack()
    array += 1
    assert array.sum() == 10_000


def test_values_without_arrays_make_no_file(tmp_path: Path) -> None:
    parcel = pack(["a", 1], tmp_path)
    assert parcel.file is None
    assert not list(tmp_path.iterdir())
    assert parcel.unpack() == ["a", 1]


def test_missing_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        pack(np.zeros(3), tmp_path / "nowhere")
