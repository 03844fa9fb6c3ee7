"""Duplicates, split and balance: what is found among real pictures, and what it costs as sets grow.

    python -m benchmarks.curate [--every 2] [--sizes 10000 50000 100000 200000]

Real: the pictures of ``../shared/data/mammograms`` as level B makes them. What is found among them as they are: the 48
MIAS films that are there at 1024 × 1024 and at 512 × 512 must all be, the contrast-enhanced and the low-energy picture
of one compression must not. Then a copy of every n-th picture is put among them in each of six ways (exact,
re-windowed, re-sized, mirrored, compressed again, cropped by up to 2 % at each side); wanted: 99 % found, and nothing
else. Recall is told for each way, and what the hashes lost and the pictures refused of it.

Growth: pretend hashes, whose runs of bits agree by chance about as often as real ones do (33 and 45 in a million for
runs of 20 bits), with one copy in a hundred; a pretend set of four pictures a woman for split and balance. CPU seconds
of this process, and the exponent of their growth. Peers: faiss' IndexBinaryMultiHash with the same runs of bits, and
IndexBinaryFlat, which compares all with all, where faiss is installed; both on the same hashes on one thread.
"""

import argparse
import csv
import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
from PIL import Image

from pipelines.curate.association import measure_association
from pipelines.curate.evenness import measure_balance
from pipelines.curate.hashes import BYTES, FEW, HASHES, KEY_BYTES, KEYS, MOST, candidates, unpack
from pipelines.curate.near_copies import find_copies
from pipelines.curate.power import measure_power
from pipelines.curate.selection import select
from pipelines.normalize.mammogram import NormalizeSettings, normalize
from pipelines.storage.tables import DATASET, DENSITIES, IMAGES, LABELS, SPLITS
from tests.curate.changing import KINDS
from tests.normalize.drawing import wrap

MAMMOGRAMS = Path(__file__).parents[2] / "shared" / "data" / "mammograms"
SETTINGS = NormalizeSettings()
MAKERS = ("Hologic", "GE", "Siemens", "FUJIFILM", "Philips")

Row = dict[str, Any]


class Pictures:
    """Level B rows and pictures of given stored values, held in memory at a quarter of the size."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.pictures: list[np.ndarray] = []

    def add(self, name: str, patient: str, values: np.ndarray, entry: Row) -> bool:
        """Normalize and keep; False where level B does not keep it."""
        facts = {"ImageLaterality": entry["laterality"], "ViewPosition": entry["view"], "ImagerPixelSpacing": None}
        outcome = normalize(wrap(values, bits=8, WindowCenter=128, WindowWidth=256, **facts), SETTINGS)
        if outcome.picture is None:
            return False
        place = {"delivery": "D-1", "shard": "shard", "shard_row": len(self.rows)}
        self.rows.append(place | {"image_id": name, "patient": patient, "status": "kept"} | outcome.facts)
        self.pictures.append(cv2.resize(outcome.picture, (512, 640), interpolation=cv2.INTER_AREA))
        return True

    def picture(self, delivery: str, shard: str, row: int) -> np.ndarray:
        """The picture of a row."""
        return self.pictures[row]


def stored_values(path: Path) -> np.ndarray:
    """A picture's gray in 8 bits; of 16 bits, by its own highest value (Pillow would cut them off at 255)."""
    with Image.open(path) as image:
        values = np.asarray(image if image.mode.startswith("I") else image.convert("L"))
    return values if values.dtype == np.uint8 else np.rint(values * (255 / values.max())).astype(np.uint8)


def film_of(name: str) -> str:
    """What was taken: the same for a film at both sizes and for all copies of a picture."""
    stem = Path(name.split("#")[0]).stem
    return stem.lower()


def real_part(every: int) -> None:
    """What is found among the real pictures as they are, and with copies among them."""
    known = Pictures()
    with (MAMMOGRAMS / "labels.csv").open(newline="", encoding="utf-8-sig") as file:
        entries = list(csv.DictReader(file))
    loaded = {}
    for entry in entries:
        values = stored_values(MAMMOGRAMS / entry["path"])
        if known.add(entry["path"], entry["patient"], values, entry):
            loaded[entry["path"]] = values, entry
    start = time.process_time()
    pairs = find_copies(known.rows, known.picture).to_pylist()
    spent = time.process_time() - start
    films = Counter(film_of(name) for name in loaded if "mias" in name)
    twice = {film for film, count in films.items() if count == 2}
    found = {film_of(p["image_id"]) for p in pairs if film_of(p["image_id"]) == film_of(p["copy_of"])}
    other = [(p["copy_of"], p["image_id"], p["correlation"], p["detail"]) for p in pairs]
    other = [pair for pair in other if film_of(pair[0]) != film_of(pair[1])]
    print(f"real: {len(known.rows)} pictures, {len(pairs)} pairs found in {spent:.1f} CPU seconds")
    print(f"  MIAS films that are there twice: {len(twice)}, found: {len(found & twice)}; other pairs: {other}")
    _injected(known, loaded, every)


def _injected(known: Pictures, loaded: dict[str, tuple[np.ndarray, Row]], every: int) -> None:
    rng = np.random.default_rng(0)
    chosen = [name for name in loaded if not ("mias-1024" in name or "_CM_" in name)][::every]
    lost: Counter[str] = Counter()
    injected: Counter[str] = Counter()
    for name in chosen:
        values, entry = loaded[name]
        for kind, change in KINDS.items():
            if known.add(f"{name}#{kind}", f"copy-{name}-{kind}", change(values, rng), entry):
                injected[kind] += 1
            else:
                lost[kind] += 1
    rows = known.rows
    pairs = find_copies(rows, known.picture).to_pylist()
    near = candidates(unpack([row["picture_hash"] for row in rows]), few=10**9)
    by_hash = {frozenset((rows[a]["image_id"], rows[b]["image_id"])) for a, b, *_ in near.tolist()}
    found = {frozenset((p["image_id"], p["copy_of"])) for p in pairs}
    false = [pair for pair in found if len({film_of(name) for name in pair}) > 1]
    print(f"injected: {sum(injected.values())} copies of {len(chosen)} pictures, {len(found)} pairs found")
    for kind in KINDS:
        made = [name for name in chosen if any(r["image_id"] == f"{name}#{kind}" for r in rows)]
        hit = sum(frozenset((name, f"{name}#{kind}")) in found for name in made)
        hashed = sum(frozenset((name, f"{name}#{kind}")) in by_hash for name in made)
        print(
            f"  {kind:13} {len(made):4} kept at level B, {hit / len(made):7.2%} found (limit 99 %); "
            f"by hash alone {hashed / len(made):7.2%}"
        )
    print(f"  pairs of different pictures: {len(false)} (limit 0): {[sorted(pair) for pair in false][:5]}")


def pretend_hashes(count: int) -> np.ndarray:
    """Hashes (count, 9, 32) of which one in a hundred is a copy of another, some bits changed."""
    rng = np.random.default_rng(0)
    share = np.clip(0.5 + 0.17 * np.random.default_rng(1).standard_normal(8 * BYTES), 0.1, 0.9).astype(np.float32)
    plain = rng.random((count, 8 * BYTES), np.float32) < share
    copies = np.arange(0, count - 1, 100)
    plain[copies + 1] = plain[copies]
    hashes = np.empty((count, HASHES, BYTES), np.uint8)
    for number in range(HASHES):
        bits = plain ^ (rng.random(plain.shape, np.float32) < (0.14 if number else 0.03))
        hashes[:, number] = np.packbits(bits, axis=1)
    return hashes


def pretend_set(count: int) -> tuple[pa.Table, pa.Table]:
    """IMAGES and LABELS of four pictures a woman."""
    rng = np.random.default_rng(0)
    women = -(-count // 4)
    density, maker = rng.choice(4, women, p=(0.1, 0.4, 0.4, 0.1)), rng.choice(len(MAKERS), women)
    images, labels = [], []
    for number in range(count):
        woman = number // 4
        name, patient = f"2.25.{number}", f"P-{woman:032x}"
        fixed = {"delivery": "D-1", "object_sha256": "0", "status": "kept", "shard": "s", "picture_sha256": "0"}
        facts = {"laterality": "LR"[number % 2], "view": ("CC", "MLO")[number // 2 % 2], "patient_age": 55.0}
        facts |= {"vendor_group": f"{MAKERS[maker[woman]]}|x|FOR PRESENTATION|lossless", "shard_row": number}
        ids = {"image_id": name, "file_id": f"F-{number}", "patient": patient, "pixel_digest": f"{number}"}
        images.append(fixed | facts | ids)
        told = {"density": DENSITIES[density[woman]], "confidence": 1.0, "sources": '["table"]'}
        labels.append({"image_id": name, "patient": patient, "evidence": "[]", "conflict": False} | told)
    return IMAGES.build(images), LABELS.build(labels)


def balance_of(included: Sequence[Row], labels: pa.Table) -> None:
    """All that is measured of a set's balance."""
    names = {column.name for column in DATASET.columns}
    dataset = DATASET.build(
        {n: v for n, v in row.items() if n in names} | {"pyramid_row": row["shard_row"]} for row in included
    )
    measure_balance(dataset, labels)
    measure_association(dataset)
    measure_power(included)


def spent(work: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds of this process, and what came of it."""
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


def growth_part(sizes: Sequence[int], peers: bool) -> None:
    """CPU seconds at each size, and the exponent from the smallest to the largest."""
    taken: dict[str, list[float]] = {"hash search": [], "split": [], "balance": []}
    for size in sizes:
        hashes = pretend_hashes(size)
        seconds, pairs = spent(lambda: candidates(hashes, few=0))  # noqa: B023
        taken["hash search"].append(seconds)
        copies = len(np.arange(0, size - 1, 100))
        right = int((pairs[:, 1] - pairs[:, 0] == 1).sum())
        print(f"{size} pictures: hash search {seconds:.2f} s, {right} of {copies} copies, {len(pairs) - right} others")
        if peers and size <= 100_000:
            _peers(hashes)
        images, labels = pretend_set(size)
        seconds, selection = spent(lambda: select(images, labels))  # noqa: B023
        taken["split"].append(seconds)
        _strata(selection.included)
        seconds, _ = spent(lambda: balance_of(selection.included, labels))  # noqa: B023
        taken["balance"].append(seconds)
        print(f"  selection and split {taken['split'][-1]:.2f} s, balance {seconds:.2f} s")
    if len(sizes) > 1:
        for name, seconds_of in taken.items():
            exponent = math.log(seconds_of[-1] / seconds_of[0]) / math.log(sizes[-1] / sizes[0])
            print(f"growth of {name}: exponent {exponent:.2f} from {sizes[0]} to {sizes[-1]}")


def _strata(included: Sequence[Row]) -> None:
    """How far the strata's shares of training women lie from 70 %, at most, where there are 1,000 women or more."""
    women = {
        row["cluster"]: (f"{row['density']} {row['vendor_group'].split('|')[0]}", row["split"]) for row in included
    }
    counts = Counter(stratum for stratum, _ in women.values())
    train = Counter(stratum for stratum, split in women.values() if split == SPLITS[0])
    off = [abs(train[s] / n - 0.7) for s, n in counts.items() if n >= 1000]
    if off:
        print(f"  strata of 1,000 women and more: {len(off)}, at most {max(off):.2%} off 70 % training")


def _peers(hashes: np.ndarray) -> None:
    try:
        import faiss
    except ImportError:
        print("  faiss is not installed")
        return
    faiss.omp_set_num_threads(1)
    flat = hashes.reshape(-1, BYTES)

    def search(index: Any) -> int:
        index.add(flat)
        return len(index.range_search(flat, MOST + 1)[1])

    seconds, _ = spent(lambda: search(faiss.IndexBinaryMultiHash(8 * BYTES, KEYS, 8 * KEY_BYTES)))
    print(f"  faiss IndexBinaryMultiHash {seconds:.2f} s", end="")
    if len(hashes) <= 10_000:
        seconds, _ = spent(lambda: search(faiss.IndexBinaryFlat(8 * BYTES)))
        print(f", IndexBinaryFlat {seconds:.2f} s", end="")
    print()


def main() -> None:
    """Print the figures and what they should be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=2, help="copies are made of every n-th picture (2)")
    parser.add_argument("--sizes", type=int, nargs="*", default=[10_000, 50_000, 100_000, 200_000])
    parser.add_argument("--without-peers", action="store_true", help="leave faiss out")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    print(f"hashes at most {MOST} bits apart; all with all up to {FEW} pictures, else {KEYS} runs of {8 * KEY_BYTES}")
    if MAMMOGRAMS.is_dir() and options.every:
        real_part(options.every)
    if options.sizes:
        growth_part(options.sizes, not options.without_peers)


if __name__ == "__main__":
    main()
