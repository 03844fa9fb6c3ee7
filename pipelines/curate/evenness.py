"""How evenly the splits are made: shares of every value in each split, and standardized differences from training.

The standardized difference of a share is its difference over the pooled deviation (Austin 2009, Communications in
Statistics 38:1228); below 0.1 it counts as small. Of a variable's values together it is the Mahalanobis distance of the
shares (Yang & Dalton 2012, SAS Global Forum 335).
"""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from pipelines.curate.counts import age_band
from pipelines.storage.tables import BALANCE, SPLITS

VARIABLES = ("density", "view", "laterality", "manufacturer", "age_band", "source", "confidence")
CELL = ("density", "view", "laterality", "manufacturer", "age_band")
"""What is also counted all together, as one variable."""

CONFIDENCE_BANDS = ((0.9, ">=0.9"), (0.7, "0.7-0.9"), (0.5, "0.5-0.7"), (0.0, "<0.5"))
"""Least confidence (with) and name, highest first."""

REFERENCE = SPLITS[0]


def measure_balance(dataset: pa.Table, labels: pa.Table) -> pa.Table:
    """The table of BALANCE, from DATASET and LABELS, which tells where each image's density comes from."""
    frame = _frame(dataset, labels)
    rows = [row for variable in (*VARIABLES, "cell") for row in _rows_of(frame, variable)]
    return BALANCE.build(rows)


def _frame(dataset: pa.Table, labels: pa.Table) -> pd.DataFrame:
    frame = dataset.select(["image_id", "patient", "split", "density", "view", "laterality"]).to_pandas()
    rows = dataset.select(["vendor_group", "patient_age", "confidence"]).to_pydict()
    told = dict(zip(labels["image_id"].to_pylist(), labels["sources"].to_pylist(), strict=True))
    frame["laterality"] = frame["laterality"].fillna("unknown")
    frame["manufacturer"] = [group.split("|")[0] for group in rows["vendor_group"]]
    frame["age_band"] = [age_band(age) for age in rows["patient_age"]]
    frame["source"] = ["+".join(sorted(json.loads(told.get(i) or "[]"))) or "unknown" for i in frame["image_id"]]
    frame["confidence"] = [next(name for least, name in CONFIDENCE_BANDS if c >= least) for c in rows["confidence"]]
    parts = [frame[name].astype(str) for name in CELL]
    frame["cell"] = parts[0].str.cat(parts[1:], sep=" ") if len(frame) else ""
    return frame


def _rows_of(frame: pd.DataFrame, variable: str) -> Iterator[dict[str, Any]]:
    images = pd.crosstab(frame[variable], frame["split"]).reindex(columns=list(SPLITS), fill_value=0)
    unique = frame.drop_duplicates([variable, "split", "patient"])
    patients = pd.crosstab(unique[variable], unique["split"]).reindex(columns=list(SPLITS), fill_value=0)
    everyone = frame.drop_duplicates(["split", "patient"])["split"].value_counts()
    totals = images.sum()
    for split in SPLITS:
        for value in images.index:
            yield {
                "variable": variable,
                "value": str(value),
                "split": split,
                "images": int(images.at[value, split]),
                "patients": int(patients.at[value, split]),
                "share": _share(images.at[value, split], totals[split]),
                "difference": _difference(images.loc[[value], [REFERENCE, split]].to_numpy(), totals, split),
            }
        yield {
            "variable": variable,
            "value": "*",
            "split": split,
            "images": int(totals[split]),
            "patients": int(everyone.get(split, 0)),
            "share": _share(totals[split], totals[split]),
            "difference": _difference(images[[REFERENCE, split]].to_numpy()[:-1], totals, split),
        }


def _share(part: int, whole: int) -> float | None:
    return float(part / whole) if whole else None


def _difference(counts: np.ndarray, totals: pd.Series, split: str) -> float | None:
    """Of counts (values, 2) in training and in a split, the last value of a whole variable left out.

    Of one value it has the sign of the difference; of several it is a distance.
    """
    sizes = totals[[REFERENCE, split]].to_numpy(float)
    if split == REFERENCE:
        return 0.0 if sizes[0] else None
    if not sizes.all() or not len(counts):
        return None
    shares = counts / sizes
    apart = shares[:, 1] - shares[:, 0]
    spread = np.mean([np.diag(p) - np.outer(p, p) for p in shares.T], axis=0)
    if not spread.any():
        return 0.0 if not apart.any() else None
    if len(apart) == 1:
        return float(apart[0] / np.sqrt(spread[0, 0]))
    return float(np.sqrt(max(0.0, apart @ np.linalg.pinv(spread, hermitian=True) @ apart)))
