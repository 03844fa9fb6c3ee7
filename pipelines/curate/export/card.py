"""The dataset card: README.md of an export, for people."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from pipelines.curate.export import words
from pipelines.curate.export.facts import Deidentification, Facts, crossed
from pipelines.curate.export.statement import Statement
from pipelines.storage.atomic import write_bytes

NAME = "README.md"

FILES = (
    ("`dataset.parquet`", "the index: a row an image, with split, density, and where its picture lies"),
    ("`shard-*.arrow`", "the full pictures: Arrow IPC files, columns `image_id` and `pixels` (uint16), one a batch"),
    ("`pyramid/`", "the same pictures at half the size, a quarter …, in the rows that `pyramid_row` tells"),
    ("`labels.parquet`, `votes.parquet`", "each label's sources and confidence, and the statements that it rests on"),
    ("`splits.csv`", "the split manifest: image, patient, cluster of patients, split"),
    ("`exclusions.parquet`", "normalized pictures that are not in the set, with the reason"),
    ("`plan.parquet`", "training images of each density and view, and how many are short of an even mix"),
    ("`data_dictionary.csv`", "every column of every table: type, unit, allowed values, meaning"),
    ("`croissant.json`", "Croissant 1.0 metadata with the RAI vocabulary"),
    ("`torch_dataset.py`", "a PyTorch `Dataset`; needs numpy, pyarrow and torch alone"),
    ("`SHA256SUMS`", "digests of all files: `sha256sum --check SHA256SUMS`"),
)

EXAMPLE = """\
    from torch.utils.data import DataLoader
    from torch_dataset import LevelA          # in this folder

    training = LevelA("path/to/this/folder", split="train", size=%s)
    for pictures, densities in DataLoader(training, batch_size=32, shuffle=True):
        ...                                   # float32 (32, 1, rows, columns) in 0 to 1; int64, 0 to 3 for A to D"""


def write_card(
    folder: Path,
    *,
    facts: Facts,
    statement: Statement,
    deidentification: Deidentification,
    versions: Mapping[str, str],
    curves: str,
) -> None:
    """Write ``folder/README.md``; it shows ``contact_sheet.png`` and ``counts.png`` of the same folder."""
    parts = [
        f"# {_plain(statement.title)}",
        words.summary(facts),
        "![A few images of each density](contact_sheet.png)",
        *_section("License and citation", _stated(statement)),
        *_section("What it is for", _bullets(words.USES)),
        *_section("What it is not for", _bullets(words.NOT_FOR)),
        *_section("Counts", "![Images per density, split, view and maker](counts.png)"),
        *(_table(crossed(facts, "density", column)) for column in ("split", "view", "manufacturer", "age_band")),
        *_section("Where the pictures come from", words.collection(facts, statement), words.missing(facts)),
        *_section("What was done to them", _bullets(words.preparation(facts, deidentification, curves))),
        *_section(
            "Where the labels come from",
            _bullets([*words.annotation(facts), *words.analysis(facts), f"{words.per_item(facts)}."]),
            f"Readers: {_plain(statement.annotators)}.",
        ),
        *_section("How it leans", _bullets(words.biases(facts))),
        *_section("Known limits", _bullets(words.limits(facts))),
        *_section("Personal data", _bullets(words.sensitive(deidentification))),
        *_section("Files", _table([["file", "what it holds"], *map(list, FILES)])),
        *_section("Reading it", EXAMPLE % _example_size(facts), _sizes(facts)),
        *_section("Versions", _table([["what", "version"], *_versions(versions, curves, deidentification)])),
    ]
    write_bytes(folder / NAME, ("\n\n".join(parts) + "\n").encode())


def _stated(statement: Statement) -> str:
    rows = [
        ["license", statement.license],
        ["citation", statement.citation],
        ["publisher", statement.publisher],
        ["creators", ", ".join(statement.creators) or "not stated"],
        ["contact", statement.contact],
        ["address", statement.url or "not stated"],
        ["version", statement.version],
        ["published", statement.date_published or "not stated"],
        ["release approved by", statement.ethics],
        ["maintenance", statement.maintenance],
    ]
    return _table([["what", "as stated by the publisher"], *([name, _plain(value)] for name, value in rows)])


def _versions(versions: Mapping[str, str], curves: str, found: Deidentification) -> list[list[str]]:
    rows = [["vendor curves", curves], ["pseudonym key's fingerprint", found.key_fingerprint]]
    rows += [["de-identification profile", profile] for profile in found.profiles]
    return [*rows, *([name, version] for name, version in versions.items())]


def _sizes(facts: Facts) -> str:
    sizes = ", ".join(f"{rows}×{columns}" for rows, columns in (facts.shape, *facts.sizes))
    return f"Sizes at hand (rows × columns): {sizes if facts.images else 'none'}. `size=None` gives the full pictures."


def _example_size(facts: Facts) -> str:
    """The largest size that is quickly read: up to 320 rows."""
    return str(next((size for size in facts.sizes if size[0] <= 320), None))


def _section(title: str, *parts: str) -> list[str]:
    return [f"## {title}", *parts]


def _bullets(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _table(rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join([lines[0], "|---" * len(rows[0]) + "|", *lines[1:]])


def _plain(text: str) -> str:
    """A statement's text in one line."""
    return " ".join(text.split())
