"""The table of every verdict's grounds: each figure of each candidate beside its threshold."""

import numpy as np
import pyarrow as pa

from pipelines.storage.tables import SCREENING
from pipelines.synthesize.screening import Verdict


class Findings:
    """Gathers findings in little memory: numbers alone, about a quarter of a kilobyte for each candidate."""

    def __init__(self) -> None:
        self._ids: list[str] = []
        self._tests: list[tuple[str, ...]] = []
        self._numbers: list[np.ndarray] = []
        self._known: dict[tuple[str, ...], tuple[str, ...]] = {}

    def add(self, synthetic_id: str, verdict: Verdict) -> None:
        """Take in the findings on one candidate."""
        tests = tuple(finding.test for finding in verdict.findings)
        self._ids.append(synthetic_id)
        self._tests.append(self._known.setdefault(tests, tests))
        rows = [(f.figure, _number(f.low), _number(f.high)) for f in verdict.findings]
        self._numbers.append(np.array(rows, np.float64).reshape(-1, 3))

    def table(self) -> pa.Table:
        """SCREENING: a row for each candidate and test."""
        numbers = np.concatenate([np.empty((0, 3)), *self._numbers])
        figure, low, high = numbers.T
        passed = ~((figure < low) | (figure > high))
        counts = [len(tests) for tests in self._tests]
        columns = {
            "synthetic_id": pa.array(np.repeat(np.array(self._ids, object), counts), pa.string()),
            "test": pa.array([test for tests in self._tests for test in tests], pa.string()),
            "figure": pa.array(figure, pa.float64()),
            "low": pa.array(low, pa.float64(), from_pandas=True),
            "high": pa.array(high, pa.float64(), from_pandas=True),
            "passed": pa.array(passed, pa.bool_()),
        }
        return pa.table(columns, schema=SCREENING.schema)


def _number(bound: float | None) -> float:
    return np.nan if bound is None else bound
