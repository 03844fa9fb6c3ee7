"""When things are made: jobs, the nightly schedules, and the sensor that sees new deliveries.

No asset belongs here, and nothing that names a delivery by anything but its partition.
"""

import time
from collections.abc import Iterator

import dagster as dg

from assets.resources import Ladder
from assets.rung import deliveries
from pipelines.archive.deliveries import Delivery, is_settled, list_deliveries, listing_digest, register

PER_DELIVERY = ("level_d/inventory", "level_c/objects", "level_c/reports", "level_b/images")
OVER_ALL = (
    "level_b/splits",
    "level_b/vendor_curves",
    "level_b/harmonization",
    "level_a/labels",
    "level_a/dataset",
    "level_a/export",
)
AUGMENTATION = ("pgan/model", "synthetic/images", "synthetic/augmented_dataset")
WORTH = "evaluation/downstream"
NOVELTY = "evaluation/novelty"
TRANSFER = "evaluation/vendor_transfer"
REPORT = "evaluation/readiness_report"


def selection(*assets: str) -> dg.AssetSelection:
    """An asset selection by group/name."""
    return dg.AssetSelection.assets(*[a.split("/") for a in assets])


climb = dg.define_asset_job(
    "climb",
    selection(*PER_DELIVERY, *OVER_ALL, REPORT),
    description="One delivery from level D to B, then level A over all deliveries.",
)
refresh = dg.define_asset_job(
    "refresh", selection(*OVER_ALL, REPORT), description="Level A over all deliveries that stand at level B."
)
train = dg.define_asset_job("train", selection("pgan/model"), description="The pGAN on the level A set.")
augment = dg.define_asset_job(
    "augment",
    selection(*AUGMENTATION, WORTH, NOVELTY, TRANSFER, REPORT),
    description="The pGAN where it is not current, synthetic images, their worth, the oddest images, vendor transfer.",
)
everything = dg.define_asset_job(
    "everything",
    dg.AssetSelection.all(),
    description="The whole ladder for one delivery: D to A, pGAN, synthetic images, report.",
)
jobs = [climb, refresh, train, augment, everything]


def settled_deliveries(ladder: Ladder, now: float) -> Iterator[tuple[str, Delivery]]:
    """The deliveries in the inbox that have come to rest, with their partitions."""
    zones, key = ladder.zones, ladder.key
    for delivery in list_deliveries(zones.inbox):
        if is_settled(delivery, ladder.quiet_seconds, now):
            yield register(zones.vault, key, delivery), delivery


def requests_for(ladder: Ladder, partitions: dict[str, Delivery]) -> list[dg.RunRequest]:
    """One run a delivery and state of its files: a delivery that changes is climbed again."""
    return [
        dg.RunRequest(run_key=f"{partition}:{listing_digest(delivery, ladder.key)}", partition_key=partition)
        for partition, delivery in sorted(partitions.items())
    ]


@dg.sensor(job=climb, minimum_interval_seconds=30, default_status=dg.DefaultSensorStatus.RUNNING)
def new_deliveries(context: dg.SensorEvaluationContext, ladder: Ladder) -> dg.SensorResult | dg.SkipReason:
    """Makes a partition of each delivery that has come to rest, and climbs it when it is new or has changed."""
    with ladder.discreet("new_deliveries"):
        settled = dict(settled_deliveries(ladder, time.time()))
        requests = requests_for(ladder, settled)
    if not requests:
        return dg.SkipReason("no delivery in the inbox, or all of them are still arriving")
    known = set(context.instance.get_dynamic_partitions("delivery"))
    new = sorted(set(settled) - known)
    return dg.SensorResult(
        run_requests=requests, dynamic_partitions_requests=[deliveries.build_add_request(new)] if new else []
    )


@dg.schedule(job=climb, cron_schedule="0 1 * * *", default_status=dg.DefaultScheduleStatus.RUNNING)
def nightly_climb(context: dg.ScheduleEvaluationContext, ladder: Ladder) -> list[dg.RunRequest] | dg.SkipReason:
    """Every night at 1: each delivery again (what is current and whole is not made again; what failed or broke is)."""
    with ladder.discreet("nightly_climb"):
        settled = dict(settled_deliveries(ladder, time.time()))
    if not settled:
        return dg.SkipReason("no delivery in the inbox")
    context.instance.add_dynamic_partitions("delivery", sorted(settled))
    night = context.scheduled_execution_time.strftime("%Y%m%d")
    return [dg.RunRequest(run_key=f"{night}:{partition}", partition_key=partition) for partition in sorted(settled)]


nightly_augment = dg.ScheduleDefinition(
    name="nightly_augment",
    job=augment,
    cron_schedule="0 3 * * *",
    description="Every night at 3: pGAN, synthetic images and report, where the level A set has changed.",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
