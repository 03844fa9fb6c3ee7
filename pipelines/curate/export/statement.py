"""What only the hospital can say of its data set: title, license, citation, publisher. Read from ``dataset.toml``."""

import re
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

NOT_STATED = "not stated"
_VERSION = re.compile(r"\d+\.\d+\.\d+")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


class StatementError(ValueError):
    """A ``dataset.toml`` cannot be used. The message names the setting, never its value."""


@dataclass(frozen=True)
class Statement:
    """What the hospital says of its data set; the defaults say that it said nothing.

    ``license``: an SPDX URL or words; ``creators``: names of persons or groups; ``version``: MAJOR.MINOR.PATCH;
    ``date_published``: YYYY-MM-DD; ``collection``: how, where and when the pictures were taken; ``annotators``: who
    read them; ``maintenance``: who mends and renews the set; ``ethics``: by whom its release was approved.
    """

    title: str = "Mammograms with breast density"
    license: str = NOT_STATED
    citation: str = NOT_STATED
    publisher: str = NOT_STATED
    creators: tuple[str, ...] = ()
    contact: str = NOT_STATED
    url: str = ""
    version: str = "1.0.0"
    date_published: str = ""
    collection: str = NOT_STATED
    annotators: str = NOT_STATED
    maintenance: str = NOT_STATED
    ethics: str = NOT_STATED

    def __post_init__(self) -> None:
        if not _VERSION.fullmatch(self.version):
            raise StatementError("version must be MAJOR.MINOR.PATCH")
        if self.date_published and not _DATE.fullmatch(self.date_published):
            raise StatementError("date_published must be YYYY-MM-DD")
        if self.url and not self.url.startswith(("http://", "https://")):
            raise StatementError("url must begin with http:// or https://")
        if not self.title.strip():
            raise StatementError("title must not be empty")


def read_statement(path: Path) -> Statement:
    """The statement in a TOML file; the defaults where there is no file. Raises StatementError."""
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Statement()
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise StatementError("dataset.toml is not valid TOML") from error
    known = {field.name for field in fields(Statement)}
    unknown = sorted(set(entries) - known)
    if unknown:
        raise StatementError(f"unknown settings: {', '.join(unknown)}; known are {', '.join(sorted(known))}")
    return Statement(**{name: _value(name, value) for name, value in entries.items()})


def _value(name: str, value: Any) -> Any:
    if name == "creators":
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise StatementError("creators must be a list of names")
        return tuple(value)
    if name == "date_published" and hasattr(value, "isoformat"):
        return value.isoformat()
    if not isinstance(value, str):
        raise StatementError(f"{name} must be a text")
    return value.strip()
