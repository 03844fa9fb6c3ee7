"""Fit the model that tells chains of strokes that are text from vessels and calcifications (``text_chains.csv``).

    python benchmarks/fit_text_chains.py [--images 100] [--write]

Texts are burned in over the breast of pictures of the half that nothing is measured on (see ``burned_pictures``). A
chain is text where most of its strokes lie in a text's box and it runs along a good part of it; chains that have some
of a text are left out. Fitted is a logistic model of the facts, their squares and products; printed is how many
texts' best chain falls below a threshold, and how many chains per 13 Mpx of pictures without text pass it.
"""

import argparse
from pathlib import Path

import burned_pictures
import numpy as np
from sklearn.linear_model import LogisticRegression

from pipelines.deidentify import text_candidates, text_chains
from pipelines.deidentify.text_candidates import find_breast, find_candidates, in_display_order
from pipelines.phantom import vendors

TARGET = Path(text_chains.__file__).with_name("text_chains.csv")
_NO_TEXT, _SOME_TEXT = -1, -2


def main() -> None:
    """Collect, fit, print, and write where told."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--write", action="store_true", help="replace the model")
    args = parser.parse_args()
    facts, texts, clean, pixels, count = _collected(args.images)
    possible, text = text_chains.possible(facts), texts >= 0
    terms = text_chains.terms(facts)
    mean, spread = terms[possible].mean(0), terms[possible].std(0)
    spread[spread == 0] = 1
    model = LogisticRegression(C=0.3, max_iter=3000, class_weight="balanced")
    model.fit(((terms - mean) / spread)[possible], text[possible])
    weights = model.coef_[0] / spread
    bias = float(model.intercept_[0] - (weights * mean).sum())
    odds = np.where(possible, terms @ weights + bias, -99)
    best = np.sort([odds[texts == number].max(initial=-99) for number in range(count)])
    for missed in (0.01, 0.02, 0.03, 0.05):
        threshold = best[int(missed * count)]
        false = (odds[clean] >= threshold).sum() / pixels * 13e6
        print(f"threshold {threshold:7.2f}  texts below {missed:.2f}  chains per 13 Mpx without text {false:8.2f}")
    if args.write:
        rows = zip((*text_chains.term_names(), "bias"), (*weights, bias), strict=True)
        TARGET.write_text("term,weight\n" + "".join(f"{name},{weight:.6g}\n" for name, weight in rows), "utf-8")


def _collected(images: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, float, int]:
    """Facts of chains; the text each is of; which come from pictures without text, and these pictures' pixels."""
    rng = np.random.default_rng(77)
    files = [p for p in burned_pictures.real("tune") if "clunie" not in p.name]
    makers = (*vendors.VENDORS, vendors.FILM)
    seen: list[tuple[np.ndarray, np.ndarray, text_chains.Strokes, int]] = []

    def watch(every: text_chains.Strokes, factor: int) -> list[tuple[np.ndarray, float, bool]]:
        for upward, strokes in enumerate((every, every.turned())):
            numbers = text_chains.chains(strokes)
            seen.append((numbers, text_chains.facts(strokes, numbers), strokes, factor * (-1 if upward else 1)))
        return []

    text_candidates.lines_of_text = watch
    facts, texts, clean, pixels, count = [], [], [], 0.0, 0
    for number in range(images):
        if number % 2:
            picture = files[number // 2 * 3 % len(files)]
        else:
            maker = makers[number // 2 % 6]
            picture = burned_pictures.drawn("tune", 300 + number // 2, 0.6 if number % 6 else 1.0, maker)
        for empty in (False, True):
            stored, used = picture.pixels.copy(), np.zeros(picture.pixels.shape, bool)
            wanted = () if empty else ("over", "over", "over", "edge", "edge")
            burned = [burned_pictures.burn(stored, picture.monochrome1, picture.breast, w, used, rng) for w in wanted]
            places = [b.place for b in burned if b is not None]
            shown = in_display_order(stored, picture.monochrome1)
            seen.clear()
            find_candidates(shown, find_breast(shown))
            for numbers, found, strokes, factor in seen:
                labels = _labels(numbers, strokes.boxes * abs(factor), places, upward=factor < 0)
                usable = (np.bincount(numbers, strokes.within) > 0) & (labels != _SOME_TEXT)
                facts.append(found[usable])
                texts.append(np.where(labels >= 0, labels + count, labels)[usable])
                clean.append(np.full(int(usable.sum()), empty))
            count += len(places)
            pixels += stored.size * empty
    return np.concatenate(facts), np.concatenate(texts), np.concatenate(clean), pixels, count


def _labels(numbers: np.ndarray, boxes: np.ndarray, places: list[tuple[slice, slice]], upward: bool) -> np.ndarray:
    """Which text each chain is of; ``boxes`` are left, top, width, height along the chains' direction."""
    labels = np.full(int(numbers.max()) + 1, _NO_TEXT)
    left, top, width, height = boxes.T.astype(float)
    for index, place in enumerate(places):
        across, along = (place[1], place[0]) if upward else place
        lies_along = along.stop - along.start >= across.stop - across.start
        middle, center = left + width / 2, top + height / 2
        inside = (middle >= along.start - 2) & (middle <= along.stop + 2)
        inside &= (center >= across.start - 2) & (center <= across.stop + 2)
        share = np.bincount(numbers, inside * width * height) / np.bincount(numbers, width * height)
        begin, end = np.full(len(labels), np.inf), np.full(len(labels), -np.inf)
        np.minimum.at(begin, numbers, left)
        np.maximum.at(end, numbers, left + width)
        length = (np.minimum(end, along.stop) - np.maximum(begin, along.start)) / (along.stop - along.start)
        labels[(share > 0.1) & (labels == _NO_TEXT)] = _SOME_TEXT
        labels[(share > 0.6) & (length > 0.15) & lies_along] = index
    return labels


if __name__ == "__main__":
    main()
