"""Real, odd and broken DICOM: the run exits 0 and every file has a row that says what became of it."""

import shutil
from pathlib import Path

import pandas as pd
import pytest

from pipelines.storage.tables import EXCLUSIONS, IMAGES, INVENTORY, OBJECTS, read_table
from tests.end_to_end.runs import Ran, midar

pytestmark = pytest.mark.xdist_group("real files")


@pytest.fixture(scope="module")
def odd(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """A run over one delivery that holds all of the real files."""
    root = tmp_path_factory.mktemp("odd")
    inbox = root / "inbox"
    for folder in ("dicom-mg", "dicom-other"):
        shutil.copytree(shared / "data" / folder, inbox / "delivery" / folder)
    result = midar("run", "--inbox", inbox, "--data", root / "data", "--preset", "tiny", temporary=root / "tmp")
    return Ran(inbox, root / "data", root / "truth", root / "tmp", result.stdout + result.stderr)


@pytest.fixture(scope="module")
def tables(odd: Ran) -> dict[str, pd.DataFrame]:
    def one(root: Path, name: str, contract) -> pd.DataFrame:
        [folder] = root.glob("D-*")
        return contract.frame(read_table(folder / name, contract))

    return {
        "inventory": one(odd.data / "restricted/level_d/inventory", "inventory.parquet", INVENTORY),
        "objects": one(odd.research / "level_c/objects", "objects.parquet", OBJECTS),
        "images": one(odd.research / "level_b/images", "images.parquet", IMAGES),
        "exclusions": EXCLUSIONS.frame(read_table(odd.research / "level_a/dataset/exclusions.parquet", EXCLUSIONS)),
    }


def test_found_is_accepted_duplicates_and_quarantined(odd: Ran, tables: dict[str, pd.DataFrame]) -> None:
    inventory = tables["inventory"]
    on_disk = [p for p in odd.inbox.rglob("*") if p.is_file()]
    assert inventory["container"].isna().sum() == len(on_disk)
    counts = inventory["status"].value_counts()
    assert counts.sum() == counts["accepted"] + counts.get("duplicate", 0) + counts["quarantined"]
    assert inventory.loc[inventory["status"] == "quarantined", "reason"].notna().all()
    assert inventory.loc[inventory["status"] == "duplicate", "duplicate_of"].isin(inventory["file_id"]).all()


def test_every_later_loss_has_a_reason(tables: dict[str, pd.DataFrame]) -> None:
    inventory, objects, images, exclusions = (tables[n] for n in ("inventory", "objects", "images", "exclusions"))
    accepted = inventory.query("status == 'accepted' and kind == 'dicom'")
    assert set(objects["file_id"]) == set(accepted["file_id"])
    assert objects.loc[objects["status"] == "refused", "reason"].notna().all()
    assert set(images["file_id"]) == set(objects.query("status == 'written'")["file_id"])
    assert images.loc[images["status"] != "kept", "reason"].notna().all()
    kept = set(images.query("status == 'kept'")["image_id"])
    assert kept == set(exclusions["image_id"])  # none of these files comes with a density
    assert len(kept) == 6  # the others are of a biopsy (their ProtocolName says so), magnified, or no standard view


def test_reasons_say_no_more_than_a_code(tables: dict[str, pd.DataFrame]) -> None:
    for name in ("inventory", "objects", "images", "exclusions"):
        reasons = tables[name]["reason"].dropna()
        assert reasons.str.fullmatch(r"[A-Za-z0-9_]+").all(), reasons.unique()


def test_closing_table_tells_why_the_climb_ended(odd: Ran) -> None:
    assert "level B" in odd.printed or "level C" in odd.printed
    assert "no_density" in odd.printed
