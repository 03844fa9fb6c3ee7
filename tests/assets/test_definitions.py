"""The asset graph is a decision: a changed key, dependency, group or check must be changed here too."""

import subprocess
import sys

import dagster as dg
import pytest

from assets.definitions import build_definitions
from assets.resources import Ladder

GRAPH = {
    "level_d/inventory": set(),
    "level_c/objects": {"level_d/inventory"},
    "level_c/reports": {"level_d/inventory"},
    "level_b/images": {"level_c/objects"},
    "level_b/splits": {"level_b/images", "level_c/objects", "level_c/reports"},
    "level_b/vendor_curves": {"level_b/images", "level_b/splits", "level_c/objects", "level_c/reports"},
    "level_b/harmonization": {"level_b/images", "level_b/vendor_curves"},
    "level_a/labels": {"level_b/images", "level_b/splits", "level_c/objects", "level_c/reports"},
    "level_a/dataset": {"level_b/images", "level_b/splits", "level_b/vendor_curves", "level_a/labels"},
    "level_a/export": {"level_c/objects", "level_b/vendor_curves", "level_a/labels", "level_a/dataset"},
    "pgan/model": {"level_a/dataset"},
    "synthetic/images": {"pgan/model", "level_a/dataset"},
    "synthetic/augmented_dataset": {"level_a/dataset", "synthetic/images"},
    "evaluation/downstream": {"level_a/dataset", "synthetic/augmented_dataset"},
    "evaluation/novelty": {
        "level_b/images",
        "level_b/vendor_curves",
        "level_a/labels",
        "level_a/dataset",
        "pgan/model",
    },
    "evaluation/vendor_transfer": {
        "level_b/images",
        "level_b/splits",
        "level_b/vendor_curves",
        "level_a/labels",
        "pgan/model",
    },
    "evaluation/readiness_report": {
        "evaluation/downstream",
        "evaluation/novelty",
        "evaluation/vendor_transfer",
        "level_b/harmonization",
        "level_a/dataset",
        "level_a/export",
        "synthetic/augmented_dataset",
    },
}
PER_DELIVERY = {"level_d/inventory", "level_c/objects", "level_c/reports", "level_b/images"}


@pytest.fixture
def graph() -> dg.AssetSelection:
    return build_definitions().resolve_asset_graph()


def test_graph_is_as_designed(graph) -> None:
    found = {
        key.to_user_string(): {parent.to_user_string() for parent in graph.get(key).parent_keys}
        for key in graph.get_all_asset_keys()
    }
    assert found == GRAPH


def test_groups_are_the_rungs_and_partitions_are_deliveries(graph) -> None:
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        name = key.to_user_string()
        assert node.group_name == name.split("/")[0]
        assert (node.partitions_def is not None) == (name in PER_DELIVERY)
        assert node.description
        assert node.owners == []


def test_every_rung_has_checks_and_gpu_assets_share_a_pool(graph) -> None:
    checked = {key.asset_key.to_user_string() for key in graph.asset_check_keys}
    assert checked >= set(GRAPH) - {"evaluation/readiness_report"}
    pools = {key.to_user_string(): graph.get(key).pools for key in graph.get_all_asset_keys()}
    assert {name for name, pool in pools.items() if pool == {"gpu"}} == {
        "pgan/model",
        "synthetic/images",
        "evaluation/downstream",
        "evaluation/novelty",
        "evaluation/vendor_transfer",
    }


def test_definitions_load(tmp_path) -> None:
    definitions = build_definitions(Ladder(data=str(tmp_path)))
    dg.Definitions.validate_loadable(definitions)
    assert {job.name for job in definitions.jobs} == {"climb", "refresh", "train", "augment", "everything"}
    assert [s.name for s in definitions.sensors] == ["new_deliveries"]
    assert {s.name: s.cron_schedule for s in definitions.schedules} == {
        "nightly_climb": "0 1 * * *",
        "nightly_augment": "0 3 * * *",
    }


def test_help_imports_nothing_heavy() -> None:
    code = "import assets.cli, sys; print([m for m in ('torch', 'dagster', 'pandas', 'pyarrow') if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"
