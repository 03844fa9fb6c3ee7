"""Does the screen keep real pictures, find copies and odd pictures, and does it better the set? Is what is novel told?

    python -m benchmarks.screening [--women 400] [--model FOLDER] [--save FOLDER]
    python -m benchmarks.screening --dataset research/level_a/dataset [--model research/pgan/model]

By default on drawn breasts of so many women (80×64, two views each); with ``--dataset`` on a level A set, such as one
of real pictures. The screen learns from the training split and sets its thresholds on the validation split; the real
pictures that it never saw are those of the test split. Limits: at most 5 % of these rejected, all tests together; at
least 99 % of planted copies (training pictures with noise of up to 200 gray values, shifts of up to two pixels, flips,
changed exposure) found; oddities told from unseen real pictures by an AUROC of at least 0.90 (published for a GAN on
mammograms: 0.70). With ``--model``, a trained pGAN, critic and its features judge too, and a set is generated: the
share kept, why not, and its figures before and after the screen, each beside real ones. The oddities include pictures
of other modalities of ../shared/data, where that is at hand, brought to the standard picture as if they were
mammograms.
"""

import argparse
import json
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from scipy import ndimage

from assets.detectors import detectors_of
from assets.screen_judges import feature_settings_for, judges_of
from assets.set_quality import density_table, quality_table
from pipelines.evaluate.novelty import Detector, Ordinary, auroc, measure_detectors
from pipelines.normalize.mammogram import NormalizeSettings, normalize
from pipelines.pgan.feed import read_dataset, rows_of
from pipelines.pgan.kept_quality import Classed, measure_kept
from pipelines.pgan.sampler import load_sampler
from pipelines.phantom.breast import draw_breast, grow
from pipelines.phantom.texture import weave
from pipelines.storage.pyramid import Pyramid
from pipelines.storage.shards import ShardReader
from pipelines.storage.tables import DENSITIES, PLAN, SPLITS, SYNTHETIC, VIEWS, read_table
from pipelines.synthesize.density_followed import density_followed
from pipelines.synthesize.judges import Judges
from pipelines.synthesize.pictures import PictureSet
from pipelines.synthesize.quota import fill_quota
from pipelines.synthesize.screening import Screen
from pipelines.synthesize.settings import SynthesisSettings

SHAPE = (80, 64)
SPACING = 1.45  # mm a pixel at 160×128, of which 80×64 are the means
FIRST = 10_000  # women whom benchmarks.pgan_convergence does not draw: a model of its own has seen none of them
OTHERS = Path(__file__).parents[2] / "shared" / "data" / "dicom-other"

Part = tuple[PictureSet, list[str]]


def main() -> None:
    """Measure, and print the figures and what they should be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--women", type=int, default=400, help="drawn women (400)")
    parser.add_argument("--dataset", type=Path, help="a level A set instead of drawn breasts")
    parser.add_argument("--model", type=Path, help="a trained pGAN's folder")
    parser.add_argument("--save", type=Path, help="a folder for the generated set, with its sheets")
    options = parser.parse_args()
    sampler = load_sampler(options.model) if options.model else None
    shape = sampler.resolution if sampler else SHAPE
    parts = of_dataset(options.dataset, shape) if options.dataset else drawn(options.women)
    training, patients = parts["train"]
    judges = judges_of(options.model, training, patients)
    print("pictures: " + ", ".join(f"{name} {len(parts[name][0])}" for name in SPLITS))
    screen = Screen.calibrated(training, parts["validation"][0], judges, SynthesisSettings())
    false_rejection(screen, parts["test"][0])
    planted_copies(screen, training)
    novelty(options.model, parts)
    if sampler:
        with tempfile.TemporaryDirectory(prefix="midar-benchmark-") as temporary:
            generated(sampler, judges, parts, options.save or Path(temporary))


def of_dataset(folder: Path, shape: tuple[int, int]) -> dict[str, Part]:
    """The splits of a level A set, with the patients."""
    dataset, pyramid, parts = read_dataset(folder), Pyramid(folder), {}
    for split in SPLITS:
        rows = rows_of(dataset, split)
        pictures = pyramid.take(rows, shape)
        columns = (rows[name].to_pylist() for name in ("image_id", "density", "view"))
        parts[split] = PictureSet(pictures, *columns), rows["cluster"].to_pylist()
    return parts


def drawn(women: int) -> dict[str, Part]:
    """Drawn women of all densities in turn: six of ten to train on, two held back, two unseen; none is a model's."""
    rows: dict[str, list[tuple[np.ndarray, str, str, str]]] = {split: [] for split in SPLITS}
    for woman in range(women):
        split = ("train", "train", "validation", "train", "test")[woman // 4 % 5]
        anatomy = grow(DENSITIES[woman % 4], FIRST + woman)
        tissue = weave(anatomy.seed, 1.5 * SPACING)
        for view in VIEWS:
            breast = draw_breast(anatomy, "L", view, shape=(160, 128), spacing=SPACING, tissue=tissue)
            gray = (np.clip(breast.picture, 0, 1) * 4095).reshape(80, 2, 64, 2).mean((1, 3))
            rows[split].append((np.rint(gray).astype(np.uint16), DENSITIES[woman % 4], view, f"P-{woman}"))
    parts = {}
    for split, own in rows.items():
        pictures, densities, views, patients = (list(column) for column in zip(*own, strict=True))
        ids = [f"{p}-{v}" for p, v in zip(patients, views, strict=True)]
        parts[split] = PictureSet(np.stack(pictures), ids, densities, views), patients
    return parts


def false_rejection(screen: Screen, unseen: PictureSet) -> None:
    """Real pictures that the screen never saw, and what rejects them."""
    verdicts = screen.judge(unseen.pictures, unseen.densities, unseen.views)
    reasons = Counter(v.reason for v in verdicts if v.reason)
    told = ", ".join(f"{reason} {count}" for reason, count in reasons.most_common()) or "none"
    judge("unseen real pictures rejected", reasons.total() / len(verdicts), "at most", 0.05)
    print(f"  {reasons.total()} of {len(verdicts)}: {told}")
    agree = [v.judged_density == d for v, d in zip(verdicts, unseen.densities, strict=True) if v.judged_density]
    ratios = {name: [v.figure(name) for v in verdicts] for name in ("authenticity", "feature_authenticity")}
    shares = {n: np.mean([r >= 1 for r in found if r is not None]) for n, found in ratios.items()}
    print(f"  density as the estimator judges it: {np.mean(agree) if agree else float('nan'):.3f} as labeled")
    print("  authentic by Alaa's own border (ratio 1): " + ", ".join(f"{n} {s:.3f}" for n, s in shares.items()))


def planted_copies(screen: Screen, training: PictureSet, seed: int = 3) -> None:
    """Training pictures with noise, shifts, flips and changed exposure."""
    random = np.random.default_rng(seed)
    copies = []
    for picture in training.pictures:
        p = ndimage.shift(picture.astype(np.float64), random.integers(-2, 3, 2), order=0, mode="nearest")
        p = p * random.uniform(0.9, 1.1) + random.normal(0, random.uniform(0, 200), p.shape) * (p > 0)
        p = p[::-1] if random.random() < 0.3 else p
        p = p[:, ::-1] if random.random() < 0.1 else p
        copies.append(np.clip(np.rint(p), 0, 4095).astype(np.uint16))
    start = time.process_time()
    verdicts = screen.judge(np.stack(copies), training.densities, training.views)
    spent = (time.process_time() - start) / len(verdicts)
    judge("planted copies found", sum(v.reason == "copy" for v in verdicts) / len(verdicts), "at least", 0.99)
    print(f"  {len(verdicts)} planted; {1e3 * spent:.1f} ms CPU to judge a picture")


def novelty(model: Path | None, parts: dict[str, Part]) -> None:
    """Each detector's AUROC on made-up oddities, by halves of the held-back patients, and on other modalities."""
    training, _ = parts["train"]
    detectors = detectors_of(model, training.pictures, training.densities, feature_settings_for(SHAPE[0]))
    held = [parts[split] for split in ("validation", "test")]
    ordinary = Ordinary(
        np.concatenate([real.pictures for real, _ in held]),
        [d for real, _ in held for d in real.densities],
        [v for real, _ in held for v in real.views],
        [p for _, patients in held for p in patients],
    )
    rows = measure_detectors(ordinary, detectors)
    others = other_modalities(ordinary.pictures.shape[1:])
    for name, detector in detectors.items():
        told = {r["kind"]: r["auroc"] for r in rows if r["detector"] == name and r["measured_on"] == "measuring"}
        chosen = any(r["chosen"] for r in rows if r["detector"] == name)
        words = ", ".join(f"{kind} {value:.3f}" for kind, value in told.items() if kind != "*")
        words += _other(others, detector, ordinary)
        print(f"  {name}{' (chosen)' if chosen else ''}: mean {told['*']:.3f}; {words}")
        if chosen:
            judge("oddities told, AUROC", told["*"], "at least", 0.9)


def _other(others: np.ndarray, detector: Detector, ordinary: Ordinary) -> str:
    if not len(others):
        return ""
    usual = detector(ordinary.pictures, ordinary.densities, ordinary.views)
    found = detector(others, [None] * len(others), [None] * len(others))
    return f"; {len(others)} files of other modalities {auroc(usual, found):.3f}"


def other_modalities(shape: tuple[int, ...]) -> np.ndarray:
    """Pictures of other modalities, normalized as though they were left CC mammograms, where that can be done."""
    from tests.normalize.drawing import wrap

    found, settings = [], NormalizeSettings(shape[0], shape[1])
    for path in sorted(OTHERS.glob("*")) if OTHERS.exists() else ():
        try:
            values = pydicom.dcmread(path, force=True).pixel_array
        except (AttributeError, NotImplementedError, OSError, RuntimeError, TypeError, ValueError):
            continue  # no pixels, or none that can be decoded
        values = values[0] if values.ndim == 4 else values
        if values.ndim == 3:
            values = values.mean(-1) if values.shape[-1] == 3 else values[0]
        if min(values.shape) < 32 or not np.ptp(values):
            continue
        gray = (values - values.min()) / np.ptp(values.astype(np.float64)) * 4095
        outcome = normalize(wrap(np.rint(gray).astype(np.uint16)), settings)
        if outcome.picture is not None:
            found.append(outcome.picture)
    return np.stack(found) if found else np.empty((0, *shape), np.uint16)


def generated(sampler: Any, judges: Judges, parts: dict[str, Part], folder: Path, each: int = 30) -> None:
    """A set of ``each`` pictures of every density and view, before the screen and after it."""
    (training, _), (held_back, _) = parts["train"], parts["validation"]
    cells = sampler.conditions
    plan = PLAN.build({"density": d, "view": v, "real": 0, "target": each, "deficit": each} for d, v in cells)
    start = time.process_time()
    summary = fill_quota(
        plan,
        sample=sampler.sample,
        score=judges,
        training=training,
        held_back=held_back,
        model_sha256=sampler.model_sha256,
        conditions=set(cells),
        folder=folder,
    )
    spent = time.process_time() - start
    why = ", ".join(f"{reason} {count}" for reason, count in summary.reasons.items())
    print(f"generated {summary.looked_at}, kept {summary.kept} of {summary.wanted} wanted, {spent:.0f} s CPU; {why}")
    rows = read_table(folder / "synthetic.parquet", SYNTHETIC).to_pylist()
    kept = [row for row in rows if row["verdict"] == "kept"]
    for name, own, label in (("generated", rows, "requested_density"), ("kept", kept, "density")):
        agree = np.mean([row["judged_density"] == row[label] for row in own])
        print(f"  density as the estimator judges it, {name}: {agree:.3f} as asked")
    print(density_table(density_followed(rows, held_back, judges.estimate)))
    real = Classed(
        np.concatenate([training.pictures, held_back.pictures]),
        [f"{d} {v}" for s in (training, held_back) for d, v in zip(s.densities, s.views, strict=True)],
    )
    reader = ShardReader(folder)
    own = np.stack([reader.read(row["shard"], row["shard_row"]) for row in kept])
    raw = sampler.sample(0, range(each * len(cells)), *_columns([c for c in cells for _ in range(each)]))
    for name, pictures, classes in (
        ("before the screen", raw, [f"{d} {v}" for d, v in cells for _ in range(each)]),
        ("kept", own, [f"{row['density']} {row['view']}" for row in kept]),
    ):
        figures = measure_kept(real, Classed(pictures, classes), judges.features)
        print(f"{name}: {quality_table(figures)}")
    judge("quota met", summary.kept / summary.wanted, "at least", 1.0)
    print(json.dumps({"thresholds": json.loads((folder / "screen.json").read_text())["thresholds"]}))


def _columns(cells: Sequence[tuple[str, str]]) -> tuple[list[str], list[str]]:
    return [d for d, _ in cells], [v for _, v in cells]


def judge(name: str, value: float, side: str, limit: float) -> None:
    """Print a figure beside its limit."""
    met = value <= limit if side == "at most" else value >= limit
    print(f"{name:34} {value:7.3f}  {side} {limit:g}  {'met' if met else 'MISSED'}")


if __name__ == "__main__":
    main()
