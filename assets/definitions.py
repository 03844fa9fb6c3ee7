"""The one Definitions object: ``workspace.yaml`` loads it, the command line drives it, tests build it anew."""

import dagster as dg

from assets import automation, evaluation, level_a, level_b, level_c, level_d, novelty, pgan, synthetic, vendor_transfer
from assets.resources import Ladder, Training


def build_definitions(ladder: Ladder | None = None, training: Training | None = None) -> dg.Definitions:
    """The ladder's definitions over the given resources; by default they are read from the environment at run time."""
    modules = [level_d, level_c, level_b, level_a, pgan, synthetic, novelty, vendor_transfer, evaluation]
    return dg.Definitions(
        assets=dg.load_assets_from_modules(modules),
        jobs=automation.jobs,
        schedules=[automation.nightly_climb, automation.nightly_augment],
        sensors=[automation.new_deliveries],
        resources={"ladder": ladder or Ladder(), "training": training or Training()},
        executor=dg.in_process_executor,
    )


definitions = build_definitions()
