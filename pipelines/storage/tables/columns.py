"""Columns of the kinds that tables have many of."""

from typing import Any

import pyarrow as pa

from pipelines.storage.contracts import Column


def text(name: str, meaning: str, nullable: bool = False, allowed: tuple[str, ...] = ()) -> Column:
    """A column of text."""
    return Column(name, pa.string(), meaning, allowed=allowed, nullable=nullable)


def count(name: str, meaning: str, unit: str = "", nullable: bool = False) -> Column:
    """A column of whole numbers from 0."""
    return Column(name, pa.int64(), meaning, unit=unit, nullable=nullable, at_least=0)


def number(name: str, meaning: str, unit: str = "", **bounds: Any) -> Column:
    """A column of float64, with bounds as Column has them."""
    return Column(name, pa.float64(), meaning, unit=unit, **bounds)


def estimate(name: str, meaning: str, most: float) -> tuple[Column, ...]:
    """A figure with the ends of its interval, none beyond ``most`` either way."""
    ends = (("", meaning), ("_low", f"{meaning}: lower end"), ("_high", f"{meaning}: upper end"))
    return tuple(number(name + end, words, at_least=-most, at_most=most) for end, words in ends)
