"""What assets share: where the zones lie, under which key, how work is spread, and the training settings.

No image, text or network logic belongs here. Fields left empty are read from the environment when a run starts.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg

from pipelines.curate.balance import BalanceSettings
from pipelines.curate.splits import Proportions
from pipelines.normalize.mammogram import MODES
from pipelines.pgan.budget import Budget
from pipelines.storage.accounts import write_account
from pipelines.storage.keys import Key, VaultKeyError
from pipelines.storage.ledger import Batch
from pipelines.storage.publication import GateError, Publisher, Staging
from pipelines.storage.workers import Workers, hush
from pipelines.storage.zones import Zones
from pipelines.synthesize.settings import SynthesisSettings


@dataclass(frozen=True)
class Made:
    """What an asset published: its folder, its ledger batch, and whether it stood already."""

    folder: Path
    batch: Batch
    unchanged: bool

    def result(self, metadata: Mapping[str, Any], checks: list[dg.AssetCheckResult]) -> dg.MaterializeResult:
        """The materialization with its lineage facts; the data version is the digest of the content."""
        facts: dict[str, Any] = {
            "content SHA-256": self.batch.content_sha256,
            "ledger batch": self.batch.sequence,
            "code version": self.batch.code_version,
            "key fingerprint": self.batch.key_fingerprint,
            "unchanged": self.unchanged,
        }
        return dg.MaterializeResult(
            metadata={**metadata, **facts},
            check_results=checks,
            data_version=dg.DataVersion(self.batch.content_sha256[:16]),
        )


class Ladder(dg.ConfigurableResource):
    """The ladder's ground: zones, pseudonym key, workers, publisher."""

    data: str = ""
    """Root that holds restricted/ and research/; default $MIDAR_DATA, else ./data."""
    inbox: str = ""
    """Where deliveries arrive; default $MIDAR_INBOX, else restricted/inbox."""
    processes: int = 0
    """Local processes; 0 takes all cores."""
    normalize: str = ""
    """How breasts are brought to the standard picture, fit or fixed_spacing; default $MIDAR_NORMALIZE, else fit."""
    split: str = ""
    """Shares of patients in train, validation and test, such as 0.7,0.15,0.15; default $MIDAR_SPLIT, else these."""
    target: str = ""
    """The mix of densities that synthetic images shall fill up to: uniform, or the shares of A, B, C and D such as
    0.1,0.4,0.4,0.1; default $MIDAR_TARGET, else uniform."""
    synthetic_share: str = ""
    """Share of a class' training images that may be synthetic; default $MIDAR_SYNTHETIC_SHARE, else 0.75."""
    truncation: str = ""
    """How far synthetic images are drawn toward their class' mean, over 0 to 1, 1 being not at all: typical, less
    diverse; default $MIDAR_TRUNCATION, else 1."""
    quiet_seconds: float = 60.0
    """The sensor takes a delivery up when nothing in it has changed for so long."""

    @property
    def zones(self) -> Zones:
        """The zones, made where they are missing."""
        root = Path(self.data or os.environ.get("MIDAR_DATA") or "data")
        inbox = self.inbox or os.environ.get("MIDAR_INBOX")
        zones = Zones.at(root, Path(inbox) if inbox else None)
        zones.create()
        return zones

    @property
    def key(self) -> Key:
        """The pseudonym key of the vault."""
        return Key.load_or_create(self.zones.vault)

    @property
    def publisher(self) -> Publisher:
        """Publishes under the key's fingerprint."""
        return Publisher(self.zones, self.key.fingerprint)

    @property
    def workers(self) -> Workers:
        """How work is spread over processes."""
        return Workers(self.processes or len(os.sched_getaffinity(0)))

    @property
    def normalize_mode(self) -> str:
        """How breasts are brought to the standard picture. Raises Failure for a mode that there is not."""
        mode = self.normalize or os.environ.get("MIDAR_NORMALIZE") or "fit"
        if mode not in MODES:
            raise dg.Failure(f"MIDAR_NORMALIZE must be one of {', '.join(MODES)}", allow_retries=False)
        return mode

    @property
    def proportions(self) -> Proportions:
        """Shares of patients in the splits. Raises Failure for shares that are none."""
        text = self.split or os.environ.get("MIDAR_SPLIT") or "0.7,0.15,0.15"
        try:
            return Proportions.parse(text)
        except ValueError as error:
            raise dg.Failure(f"MIDAR_SPLIT: {error}", allow_retries=False) from None

    @property
    def balance(self) -> BalanceSettings:
        """What the deficit plan aims at. Raises Failure for a target or share that is none."""
        target = self.target or os.environ.get("MIDAR_TARGET") or "uniform"
        share = self.synthetic_share or os.environ.get("MIDAR_SYNTHETIC_SHARE") or "0.75"
        try:
            return BalanceSettings.parse(target, share)
        except ValueError as error:
            raise dg.Failure(f"MIDAR_TARGET and MIDAR_SYNTHETIC_SHARE: {error}", allow_retries=False) from None

    @property
    def synthesis(self) -> SynthesisSettings:
        """How synthetic images are made. Raises Failure for a truncation that is none."""
        text = self.truncation or os.environ.get("MIDAR_TRUNCATION") or "1"
        try:
            return SynthesisSettings(truncation=float(text))
        except ValueError:
            raise dg.Failure("MIDAR_TRUNCATION must be a number over 0 and at most 1", allow_retries=False) from None

    def make(
        self,
        asset: str,
        partition: str,
        *,
        inputs: Callable[[], Mapping[str, str]],
        parameters: object,
        build: Callable[[Staging], None],
    ) -> Made:
        """Publish what ``build`` writes into the staging folder, unless the same stands published already and is whole.

        ``inputs`` gives the content digests of what it is made from; ``build`` raises GateError to publish nothing.
        """
        publisher = self.publisher
        publisher.check_key()
        folder = self.zones.publication(asset, partition)
        with publisher.exclusive(asset, partition):
            digests = inputs()
            standing = publisher.current(asset, partition, digests, parameters)
            if standing is not None:
                return Made(folder, standing, unchanged=True)
            with publisher.publishing(asset, partition, digests, parameters) as staging:
                build(staging)
            batch = publisher.standing(asset, partition)
            assert batch is not None  # just appended
            return Made(folder, batch, unchanged=False)

    def partitions(self, asset: str) -> list[str]:
        """The partitions of an asset that stand published."""
        return sorted(p for a, p in self.publisher.ledger_of(asset).latest() if a == asset)

    def digests(self, *assets: str) -> dict[str, str]:
        """Content digests of all that stands published of the named assets, by asset or asset/partition."""
        return {
            f"{asset}/{batch.partition}".rstrip("/"): batch.content_sha256
            for asset in assets
            for (name, _), batch in self.publisher.ledger_of(asset).latest().items()
            if name == asset
        }

    @property
    def errors(self) -> Path:
        """Where the full accounts of errors go, which only the owner can read."""
        return self.zones.restricted / "errors"

    @contextmanager
    def discreet(self, asset: str) -> Iterator[None]:
        """Keep identifying values out of Dagster's log: exceptions leave with their class name alone.

        The full account goes to ``restricted/errors``, which only the owner can read.
        """
        hush()
        try:
            yield
        except dg.Failure:
            raise
        except GateError as error:
            raise dg.Failure(f"{asset}: the gate stays shut: {error}", allow_retries=False) from None
        except VaultKeyError as error:
            raise dg.Failure(f"{asset}: {error}", allow_retries=False) from None
        except Exception as error:  # noqa: BLE001 - the wall between raw values and the event log
            name = write_account(self.errors, asset)
            message = f"{asset}: {type(error).__name__}; the full account is in restricted/errors/{name}"
            raise dg.Failure(message) from None


class Training(dg.ConfigurableResource):
    """How the pGAN is trained."""

    preset: str = ""
    """demo (to 80x64 in minutes on a CPU), tiny (to 20x16, for tests) or full (to 1280x1024 on a GPU); default
    $MIDAR_PRESET, else demo."""
    device: str = ""
    """cpu, cuda, …; default $MIDAR_DEVICE, else cpu."""
    seed: int = 0
    """Seed of weights, latents and sampling."""
    two_views: bool = False
    """Draw CC and MLO of one breast from one latent, which gives whole pretend patients; also by $MIDAR_TWO_VIEWS=1."""
    budget: str = ""
    """What one run may take, such as 8h, 90min or 200000 (images): it stops there with a checkpoint, and the next run
    goes on; default $MIDAR_BUDGET, else no bound."""
    images: str = ""
    """Images that the whole training shows: a number, or "data" for at most 1,000 shows of each training image, which
    scales the growth schedule; default $MIDAR_TRAINING_IMAGES, else what the preset says."""

    processes: int = 0
    """Processes that share one training, such as the machine's GPUs; default
    $MIDAR_TRAINING_PROCESSES, else 1."""

    @property
    def chosen_processes(self) -> int:
        """How many processes share one training. Raises Failure for no whole number of at least 1."""
        named = str(self.processes or os.environ.get("MIDAR_TRAINING_PROCESSES") or 1)
        if not (named.isascii() and named.isdigit() and int(named)):
            raise dg.Failure("MIDAR_TRAINING_PROCESSES must be a whole number of at least 1", allow_retries=False)
        return int(named)

    projections: str = ""
    """Pictures of each vendor that are projected through the generator where vendor transfer is assessed; default
    $MIDAR_PROJECTIONS, else 0."""

    @property
    def chosen_projections(self) -> int:
        """How many pictures of each vendor are projected. Raises Failure for no whole number."""
        named = self.projections or os.environ.get("MIDAR_PROJECTIONS") or "0"
        if not (named.isascii() and named.isdigit()):
            raise dg.Failure("MIDAR_PROJECTIONS must be a whole number", allow_retries=False)
        return int(named)

    @property
    def chosen_preset(self) -> str:
        """The preset's name."""
        return self.preset or os.environ.get("MIDAR_PRESET") or "demo"

    @property
    def chosen_device(self) -> str:
        """The torch device."""
        return self.device or os.environ.get("MIDAR_DEVICE") or "cpu"

    @property
    def makes_two_views(self) -> bool:
        """Are CC and MLO of one breast drawn from one latent. Raises Failure for a MIDAR_TWO_VIEWS but 0 and 1."""
        named = os.environ.get("MIDAR_TWO_VIEWS") or "0"
        if named not in ("0", "1"):
            raise dg.Failure("MIDAR_TWO_VIEWS must be 0 or 1", allow_retries=False)
        return self.two_views or named == "1"

    @property
    def chosen_budget(self) -> str:
        """What one run may take; empty for no bound. Raises Failure for a budget that is none."""
        budget = self.budget or os.environ.get("MIDAR_BUDGET") or ""
        try:
            Budget.parse(budget)
        except ValueError as error:
            raise dg.Failure(f"MIDAR_BUDGET: {error}", allow_retries=False) from None
        return budget

    @property
    def chosen_images(self) -> str:
        """Images that the whole training shows, "data", or empty. Raises Failure for what is neither."""
        images = self.images or os.environ.get("MIDAR_TRAINING_IMAGES") or ""
        if images not in ("", "data") and not (images.isascii() and images.isdigit() and int(images)):
            raise dg.Failure("MIDAR_TRAINING_IMAGES must be a number of images, or data", allow_retries=False)
        return images
