import pytest

from pipelines.curate.counts import age_band, count_classes
from pipelines.curate.dataset import DatasetSettings, write_dataset
from pipelines.storage.tables import DATASET, read_table


@pytest.mark.parametrize(
    ("age", "band"), [(None, "unknown"), (0, "<40"), (39.9, "<40"), (40, "40-49"), (69, "60-69"), (130, ">=70")]
)
def test_age_bands(age, band):
    assert age_band(age) == band


def test_every_image_is_counted_once(level_b, tmp_path):
    write_dataset(
        level_b.images,
        level_b.labels,
        level_b.curves,
        picture=level_b.picture,
        folder=tmp_path,
        settings=DatasetSettings(shape=(80, 64)),
    )
    dataset = read_table(tmp_path / "dataset.parquet", DATASET)
    counts = count_classes(dataset)
    assert list(counts.columns) == ["density", "view", "manufacturer", "age_band", "split", "images"]
    assert counts["images"].sum() == dataset.num_rows
    assert set(counts["manufacturer"]) == {"Hologic", "GE"}
    rows = dataset.to_pylist()
    expected = sum(r["density"] == "C" and r["view"] == "CC" and r["patient_age"] < 40 for r in rows)
    chosen = counts[(counts.density == "C") & (counts["view"] == "CC") & (counts.age_band == "<40")]
    assert chosen["images"].sum() == expected > 0
