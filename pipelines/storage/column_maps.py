"""Column maps: how labels tables that were not written for us are to be read. Data in ``column_maps.toml``."""

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipelines.storage.digests import sha256_of_json
from pipelines.storage.tables import DENSITY_SETS

READ = (
    "patient_id",
    "accession_number",
    "study_instance_uid",
    "sop_instance_uid",
    "file_name",
    "laterality",
    "view",
    "density",
    "reader",
)
"""What a map may say of a row."""

REFERENCES = READ[:5]
"""Those by which a row finds what it speaks of."""

SIDES = {"L": "L", "LEFT": "L", "R": "R", "RIGHT": "R", "B": "", "BOTH": "", "BILATERAL": "", "": ""}
"""How tables write the side, in capitals; "" speaks of both breasts."""

LONGEST_VALUE = 32
"""A density's value is handed on as given: no more of a table than this."""


class ColumnMapError(ValueError):
    """A file of column maps cannot be used. The message says which map and setting."""


@dataclass(frozen=True)
class Cell:
    """Where a map finds a value: the first of ``columns`` that is there; with a pattern, its first group."""

    columns: tuple[str, ...]
    pattern: str | None = None

    def read(self, row: Mapping[str, str]) -> str:
        """The value in a row; "" where the row has none, or one that the pattern does not find."""
        value = next((row[name] for name in self.columns if name in row), "").strip()
        if self.pattern is None:
            return value
        found = re.search(self.pattern, value)
        return found[1] or "" if found else ""


@dataclass(frozen=True)
class ColumnMap:
    """One kind of table: what tells it, where its values are, and what its densities and sides mean."""

    name: str
    signature: frozenset[str]
    where: dict[str, str]
    cells: dict[str, Cell]
    densities: dict[str, str]
    sides: dict[str, str]

    def fits(self, columns: Iterable[str]) -> bool:
        """Is a table with these columns (as ``column_name`` gives them) of this kind?"""
        names = set(columns)
        return self.signature <= names and not names.isdisjoint(self.cells["density"].columns)

    def speaks_of(self, row: Mapping[str, str]) -> bool:
        """Does the map speak of a row, by its ``where``?"""
        return all(_value(row.get(name, "")) == wanted for name, wanted in self.where.items())

    def read(self, row: Mapping[str, str]) -> dict[str, str]:
        """A row under our column names."""
        return {name: cell.read(row) for name, cell in self.cells.items()}

    def density(self, value: str) -> str | None:
        """The density, or the neighboring ones, that a value means; "" for none; None where the map does not know."""
        return self.densities.get(_value(value))

    def side(self, value: str) -> str | None:
        """L, R, "" for both breasts, or None where the map does not know the value."""
        return self.sides.get(_value(value))


def column_name(name: object) -> str:
    """A column's name as maps write it: small letters, "_" for blanks and hyphens."""
    return re.sub(r"[\s-]+", "_", str(name).strip().lower())


def chosen_column_maps(vault: Path) -> Path | None:
    """The hospital's own column maps: ``column_maps.toml`` in the vault, else None."""
    own = vault / "column_maps.toml"
    return own if own.is_file() else None


def load_column_maps(own: Path | None = None) -> tuple[ColumnMap, ...]:
    """The packaged column maps and those of a file, which go first. Raises ColumnMapError where one is not sound."""
    packaged = _maps(Path(__file__).with_name("column_maps.toml"))
    mine = _maps(own) if own is not None else {}
    return tuple((mine | {name: made for name, made in packaged.items() if name not in mine}).values())


def digest_of(maps: Iterable[ColumnMap]) -> str:
    """Digest of all that the maps say."""
    return sha256_of_json([{**asdict(m), "signature": sorted(m.signature)} for m in maps])


def fitting(maps: Iterable[ColumnMap], columns: Iterable[str]) -> tuple[ColumnMap, ...]:
    """The maps of a table with these columns: of those that fit, the ones with the longest signature."""
    names = set(columns)
    found = [m for m in maps if m.fits(names)]
    longest = max((len(m.signature) for m in found), default=0)
    return tuple(m for m in found if len(m.signature) == longest)


def _value(text: str) -> str:
    return " ".join(text.upper().split()).removesuffix(".0")


def _maps(path: Path) -> dict[str, ColumnMap]:
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ColumnMapError("the column maps are not valid TOML") from error
    return {name: _map(name, table) for name, table in data.items()}


def _map(name: str, table: Any) -> ColumnMap:
    if not re.fullmatch(r"[a-z0-9_]{1,32}", name):
        raise ColumnMapError("a map's name is handed on: small letters, digits and _, at most 32")
    if not isinstance(table, dict) or not {"signature", "densities", "read"} <= set(table):
        raise ColumnMapError(f"{name}: needs signature, densities and read")
    unknown = sorted(set(table) - {"title", "signature", "where", "densities", "sides", "read"})
    if unknown:
        raise ColumnMapError(f"{name}: unknown setting {unknown[0]}")
    cells = {ours: _cell(f"{name}.read.{ours}", theirs) for ours, theirs in table["read"].items()}
    strange = sorted(set(cells) - set(READ))
    if strange:
        raise ColumnMapError(f"{name}.read: no column of ours: {strange[0]}")
    if "density" not in cells or not set(cells) & set(REFERENCES):
        raise ColumnMapError(f"{name}.read: needs density and one of {', '.join(REFERENCES)}")
    if not table["signature"]:
        raise ColumnMapError(f"{name}.signature: names no column")
    return ColumnMap(
        name=name,
        signature=frozenset(map(column_name, table["signature"])),
        where={column_name(k): _value(v) for k, v in table.get("where", {}).items()},
        cells=cells,
        densities=_values(f"{name}.densities", table["densities"], (*DENSITY_SETS, "")),
        sides=_values(f"{name}.sides", table.get("sides", SIDES), ("L", "R", "")),
    )


def _cell(place: str, theirs: Any) -> Cell:
    if isinstance(theirs, dict):
        try:
            if re.compile(theirs["pattern"]).groups != 1:
                raise ColumnMapError(f"{place}: the pattern needs one group")
            return Cell((column_name(theirs["column"]),), theirs["pattern"])
        except (KeyError, re.error) as error:
            raise ColumnMapError(f"{place}: needs column and a regular expression as pattern") from error
    names = theirs if isinstance(theirs, list) else [theirs]
    return Cell(tuple(map(column_name, names)))


def _values(place: str, table: Any, allowed: tuple[str, ...]) -> dict[str, str]:
    for value, meaning in table.items():
        if meaning not in allowed or len(value) > LONGEST_VALUE:
            raise ColumnMapError(f"{place}: what one value means is none of {', '.join(filter(None, allowed))}")
    return {_value(value): meaning for value, meaning in table.items()}
