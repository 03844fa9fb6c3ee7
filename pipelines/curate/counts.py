"""Counts of the level A set, for people: how many images of which density, view, vendor and age."""

import pandas as pd
import pyarrow as pa

from pipelines.storage.tables import DATASET

AGE_BANDS = ((0, 40, "<40"), (40, 50, "40-49"), (50, 60, "50-59"), (60, 70, "60-69"), (70, 131, ">=70"))
"""Years: from (with), to (without), name."""


def age_band(age: float | None) -> str:
    """The name of the band that an age in years lies in; ``unknown`` for None."""
    if age is None or pd.isna(age):
        return "unknown"
    return next(name for low, high, name in AGE_BANDS if low <= age < high)


def count_classes(dataset: pa.Table) -> pd.DataFrame:
    """Images per density × view × manufacturer × age band × split, of the table DATASET; only cells that occur."""
    frame = DATASET.frame(dataset)
    frame["manufacturer"] = frame["vendor_group"].str.split("|").str[0]
    frame["age_band"] = frame["patient_age"].map(age_band, na_action=None)
    keys = ["density", "view", "manufacturer", "age_band", "split"]
    return frame.groupby(keys, sort=True, observed=True).size().rename("images").reset_index()
