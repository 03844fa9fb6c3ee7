"""Density from pixels against readers, on real pictures, and against the drawn truth.

    python -m benchmarks.density [--women 64] [--repeats 5] [--resamples 2000]

Real: CDD-CESM's low-energy pictures (A to D) and MIAS' films (fatty, fatty-glandular, dense-glandular) of
``../shared/data``, normalized as the product does. Every prediction is of a patient that the model has not seen:
ten-fold cross-validation over patients, several times over. Intervals: 95 %, bootstrap over patients of the mean over
the repeats.

What is chosen on what: which measures, the penalties, the temperature and the cap by five-fold cross-validation over
patients within the nine training folds, anew each time. Fixed beforehand: the measures' own constants, the muscle's
search and the clusters' number, on drawn breasts, whose truth is known, and by looking at outlines without densities;
the ceiling of 0.6, by
reasoning. Not blind: the candidate measures were named after
rank correlations of single measures with both sets' labels had been seen, so the choice among them is nested, the list
is not.
"""

import argparse
import csv
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.stats import spearmanr
from sklearn.metrics import cohen_kappa_score

from pipelines.label.density_model import MEASURES, DensityModel, fit
from pipelines.label.percent_density import NAMES, features, measure
from pipelines.normalize.mammogram import NormalizeSettings, normalize
from pipelines.phantom.breast import draw_breast, grow
from tests.normalize.drawing import wrap

MAMMOGRAMS = Path(__file__).parents[2] / "shared" / "data" / "mammograms"
FOLDS = 10
SETS = {"cdd-cesm-512": "ABCD", "mini-mias-512": "FGD"}
RANGES = {"F": "AB", "G": "BC", "D": "CD"}
"""What MIAS' classes may be on the scale A to D."""

PUBLISHED = "published: readers with one another 0.57 to 0.77, Volpara with readers 0.55"


@dataclass(frozen=True)
class Set:
    """Real pictures of one source: measures (n, NAMES), words (n,), patients, breasts, the classes in order."""

    name: str
    classes: str
    x: NDArray[np.float64]
    words: NDArray[np.str_]
    patients: NDArray[np.str_]
    breasts: NDArray[np.str_]

    @property
    def ranks(self) -> NDArray[np.intp]:
        """The readers' class, as a number."""
        return np.array([self.classes.index(word) for word in self.words])

    def by_breast(self) -> "Set":
        """The same with each picture's measures replaced by the mean over its breast's pictures."""
        _, which, counts = np.unique(self.breasts, return_inverse=True, return_counts=True)
        sums = np.zeros((len(counts), self.x.shape[1]))
        np.add.at(sums, which, self.x)
        x = (sums / counts[:, None])[which]
        return Set(self.name, self.classes, x, self.words, self.patients, self.breasts)


def read_set(name: str) -> Set:
    """Wrap, normalize and measure the labeled pictures of a folder; contrast-subtracted ones are left out."""
    with (MAMMOGRAMS / "labels.csv").open(newline="", encoding="utf-8-sig") as file:
        entries = [e for e in csv.DictReader(file) if e["path"].startswith(name + "/") and e["density_raw"]]
    x, kept = [], []
    for entry in entries:
        if entry["image_type"].startswith("contrast"):
            continue
        pixels = np.asarray(Image.open(MAMMOGRAMS / entry["path"]).convert("L"))
        facts = {"ImageLaterality": entry["laterality"], "ViewPosition": entry["view"], "ImagerPixelSpacing": None}
        outcome = normalize(wrap(pixels, WindowCenter=128, WindowWidth=256, **facts), NormalizeSettings())
        found = measure(outcome.picture, outcome.facts["view"]) if outcome.picture is not None else None
        if found is not None:
            x.append(features(found))
            kept.append(entry)
    column = {name: np.array([e[name] for e in kept]) for name in ("density_raw", "patient", "laterality")}
    breasts = np.char.add(column["patient"], column["laterality"])
    print(f"{name}: {len(kept)} of {len(entries)} pictures measured, {len(set(column['patient']))} patients")
    return Set(name, SETS[name], np.array(x), column["density_raw"], column["patient"], breasts)


def folds_of(patients: NDArray[np.str_], repeat: int) -> NDArray[np.intp]:
    """The outer fold of each row: patients in the order of a hash, dealt out in turn."""
    order = sorted(set(patients.tolist()), key=lambda p: hashlib.sha256(f"outer {repeat} {p}".encode()).digest())
    fold = {patient: i % FOLDS for i, patient in enumerate(order)}
    return np.array([fold[p] for p in patients.tolist()])


Fit = Callable[[NDArray[np.bool_]], DensityModel | None]


def held_out(data: Set, repeats: int, learn: Fit) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Probabilities (repeats, n, classes) and confidence caps (repeats, n) by models that have not seen the patient."""
    chances, caps = [], []
    for repeat in range(repeats):
        folds = folds_of(data.patients, repeat)
        said, cap = np.zeros((len(folds), 0)), np.zeros(len(folds))
        for fold in range(FOLDS):
            out = folds == fold
            model = learn(~out)
            assert model is not None
            said = said if said.size else np.zeros((len(folds), len(model.classes)))
            said[out] = model.probabilities(data.x[out], [data.name] * int(out.sum()))
            cap[out] = model.cap
        chances.append(said)
        caps.append(cap)
    return np.array(chances), np.array(caps)


def interval(patients: NDArray[np.str_], figure: Callable[[NDArray[np.intp]], float], resamples: int) -> str:
    """The figure over all rows, and its 95 % interval by a bootstrap over patients."""
    names = sorted(set(patients.tolist()))
    rows = [np.flatnonzero(patients == name) for name in names]
    rng = np.random.default_rng(0)
    drawn = [figure(np.concatenate([rows[i] for i in rng.integers(0, len(rows), len(rows))])) for _ in range(resamples)]
    low, high = np.nanquantile(drawn, (0.025, 0.975))
    return f"{figure(np.arange(len(patients))):.3f} ({low:.3f} to {high:.3f})"


def kappa(truth: NDArray[np.intp], said: NDArray[np.intp], classes: int) -> float:
    """Cohen's kappa with quadratic weights."""
    observed = np.zeros((classes, classes))
    np.add.at(observed, (truth, said), 1.0)
    apart = np.subtract.outer(np.arange(classes), np.arange(classes)) ** 2
    by_chance = np.outer(observed.sum(1), observed.sum(0)) / observed.sum()
    return 1.0 - float((apart * observed).sum() / (apart * by_chance).sum())


def calibration_error(right: NDArray[np.bool_], confidence: NDArray[np.float64], bins: int = 10) -> float:
    """Expected calibration error over bins of equally many."""
    order = np.array_split(np.argsort(confidence, kind="stable"), bins)
    return sum(abs(right[i].sum() - confidence[i].sum()) for i in order) / len(right)


def show(title: str, data: Set, chances: NDArray[np.float64], caps: NDArray[np.float64], resamples: int) -> None:
    """Kappa with its interval, exact agreement, likelihood and calibration of held-out predictions."""
    truth, classes = data.ranks, len(data.classes)
    said = chances.argmax(2)
    assert abs(kappa(truth, said[0], classes) - cohen_kappa_score(truth, said[0], weights="quadratic")) < 1e-9
    right, confidence = (said == truth).ravel(), chances.max(2).ravel()
    mix = np.bincount(truth, minlength=classes) / len(truth)
    guess = -(mix[mix > 0] @ np.log(mix[mix > 0]))
    loss = -np.log(np.take_along_axis(chances, truth[None, :, None].repeat(len(chances), 0), 2)).mean()
    agreement = interval(
        data.patients, lambda rows: float(np.mean([kappa(truth[rows], s[rows], classes) for s in said])), resamples
    )
    print(f"  {title}")
    print(f"    quadratic kappa       {agreement}")
    print(f"    exact agreement       {right.mean():.3f}   always the commonest class: {mix.max():.3f}")
    print(f"    log loss              {loss:.3f}   always the mix of classes:   {guess:.3f}")
    capped = np.minimum(confidence, caps.ravel())
    for kind, figures in (("before the cap", confidence), ("as voted", capped)):
        print(
            f"    calibration error     {calibration_error(right, figures):.3f} {kind}: "
            f"mean confidence {figures.mean():.3f}, at most {figures.max():.3f}"
        )


def real_part(repeats: int, resamples: int) -> None:
    """Each set by itself, then both together as the product sees them."""
    print(PUBLISHED)
    sets = {name: read_set(name) for name in SETS}
    for data in sets.values():
        print(f"{data.name}, trained on itself")

        def learn(rows: NDArray[np.bool_], of: Set, candidates: Sequence[tuple[str, ...]]) -> DensityModel | None:
            vendor = [of.name] * int(rows.sum())
            return fit(of.x[rows], of.words[rows].tolist(), vendor, of.patients[rows].tolist(), of.classes, candidates)

        mean = data.by_breast()
        show("by breast", data, *held_out(mean, repeats, lambda rows, of=mean: learn(rows, of, MEASURES)), resamples)
        show("by picture", data, *held_out(data, repeats, lambda rows, of=data: learn(rows, of, MEASURES)), resamples)
        for one in MEASURES:
            found = held_out(data, repeats, lambda rows, of=data, one=one: learn(rows, of, [one]))
            show(f"by picture, with {', '.join(one)} alone", data, *found, resamples)
        for at, name in enumerate(NAMES):
            rank = interval(
                data.patients, lambda rows, at=at, of=data: spearmanr(of.ranks[rows], of.x[rows, at]).statistic, 200
            )
            print(f"    rank correlation of {name:16} {rank}")
    together(sets["cdd-cesm-512"], sets["mini-mias-512"], repeats, resamples)


def together(digital: Set, film: Set, repeats: int, resamples: int) -> None:
    """Digital pictures judged by a model that films have taught too, as ranges; and films by one that saw none."""
    words = [RANGES[word] for word in film.words]
    x, patients = np.vstack([digital.x, film.x]), [*digital.patients.tolist(), *film.patients.tolist()]
    vendors = [digital.name] * len(digital.x) + [film.name] * len(film.x)

    def learn(rows: NDArray[np.bool_]) -> DensityModel | None:
        keep = np.concatenate([rows, np.ones(len(film.x), bool)])
        pick = np.flatnonzero(keep)
        said = [*digital.words.tolist(), *words]
        return fit(x[keep], [said[i] for i in pick], [vendors[i] for i in pick], [patients[i] for i in pick])

    print("both together, MIAS' classes as ranges of A to D")
    show("CDD-CESM by picture", digital, *held_out(digital, repeats, learn), resamples)
    alone = fit(digital.x, digital.words.tolist(), [digital.name] * len(digital.x), digital.patients.tolist())
    assert alone is not None
    unseen = spearmanr(film.ranks, alone.predictors(film.x, [film.name] * len(film.x))).statistic
    print(f"  films by a model that saw none: rank correlation {unseen:.3f}")


def drawn_part(women: int) -> None:
    """Percent density against the drawn share: as seen in screening, and raw, with the margin's thinning in it."""
    truth, views, found = [], [], {"for presentation": [], "raw": []}
    for number in range(women):
        for view in ("CC", "MLO"):
            woman = grow("ABCD"[number % 4], 7000 + number)
            spacing = max(woman.needs[0] / 640, woman.needs[1] / 512)
            drawing = draw_breast(woman, "L", view, shape=(640, 512), spacing=spacing)
            truth.append(drawing.dense_fraction)
            views.append(view)
            for kind, gray in (("for presentation", drawing.picture), ("raw", drawing.attenuation)):
                picture = np.where(drawing.breast, np.round(gray * 4095).clip(1, 4095), 0).astype(np.uint16)
                measures = measure(picture, view)
                assert measures is not None
                found[kind].append((measures.percent_density, measures.brightest))
    print(f"drawn: {len(truth)} pictures of {women} women, share of dense tissue known")
    for kind, pairs in found.items():
        for name, values in zip(("percent_density", "brightest"), np.array(pairs).T, strict=True):
            by_view = [
                f"{view} {spearmanr(np.array(truth)[np.array(views) == view], values[np.array(views) == view])[0]:.3f}"
                for view in ("CC", "MLO")
            ]
            off = np.abs(np.array(truth) - values).mean()
            rank = spearmanr(truth, values).statistic
            print(f"  {kind:17} {name:16} rank correlation {rank:.3f} ({', '.join(by_view)}), mean error {off:.3f}")


def main() -> None:
    """Print everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--women", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--resamples", type=int, default=2000)
    arguments = parser.parse_args()
    drawn_part(arguments.women)
    real_part(arguments.repeats, arguments.resamples)


if __name__ == "__main__":
    main()
