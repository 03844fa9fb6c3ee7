"""Train a small spaCy model for names in mammography texts: ``python benchmarks/train_text_ner.py FOLDER``.

The profile can name its folder (``[text] model``); ``phi_text.py --model FOLDER`` measures with it. It is trained on
the strings of the parts in ``phi_text/`` but those that are left out (``--without``), filled with their authors' people
and with names of the census, so that what it learns is where names stand and not which. Nothing is downloaded: the
pipeline is blank English with hashed embeddings. One core needs some minutes.
"""

import argparse
import random
import time
from pathlib import Path
from typing import Any

import spacy
from phi_text import HELD_OUT, SEEN
from phi_text_cases import Case, cases
from spacy.training import Example
from spacy.util import fix_random_seed, minibatch

from pipelines.deidentify.vocabulary import census_names

_PERSONS = frozenset({"name_cued", "name_uncued", "own_name"})
_PLACES = frozenset({"place", "own_place"})
_BATCH = 64


def main() -> None:
    """Train, and write the pipeline."""
    parser = argparse.ArgumentParser(description="Train a small model for names.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--without", nargs="*", default=list(HELD_OUT), help="parts to leave out")
    parser.add_argument("--fills", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--seed", type=int, default=11)
    given = parser.parse_args()
    fix_random_seed(given.seed)
    chance = random.Random(given.seed)
    parts = [part for part in SEEN if part not in given.without]
    more = {
        key: [name.capitalize() for name in chance.sample(sorted(listed), 2000)] for key, listed in _census().items()
    }
    made = [case for part in parts for case in cases(part, given.fills, given.seed, more)]
    nlp = spacy.blank("en")
    nlp.add_pipe("ner", config=_NER)
    examples = [_example(nlp, case) for case in made]
    nlp.initialize(lambda: examples[:500])
    optimizer = nlp.resume_training()
    optimizer.learn_rate = 0.001
    for turn in range(given.rounds):
        start, losses = time.process_time(), dict[str, float]()
        chance.shuffle(examples)
        for batch in minibatch(examples, _BATCH):
            nlp.update(batch, sgd=optimizer, drop=0.2, losses=losses)
        print(f"round {turn + 1}: loss {losses['ner']:.0f}, {time.process_time() - start:.0f} CPU s", flush=True)
    nlp.to_disk(given.folder)


_NER = {
    "model": {
        "@architectures": "spacy.TransitionBasedParser.v2",
        "state_type": "ner",
        "extra_state_tokens": False,
        "hidden_width": 64,
        "maxout_pieces": 2,
        "use_upper": True,
        "tok2vec": {
            "@architectures": "spacy.HashEmbedCNN.v2",
            "pretrained_vectors": None,
            "width": 96,
            "depth": 4,
            "embed_size": 3000,
            "window_size": 1,
            "maxout_pieces": 3,
            "subword_features": True,
        },
    }
}
"""A convolutional network over hashed words, prefixes, suffixes and shapes, as spaCy's small pipelines have it."""


def _census() -> dict[str, frozenset[str]]:
    given, family = census_names()
    return {"given": given, "family": family}


def _example(nlp: Any, case: Case) -> Example:
    doc = nlp.make_doc(case.text)
    found = []
    for (kind, text), start in zip(case.spans, case.starts, strict=True):
        label = "PERSON" if kind in _PERSONS else "FAC" if kind in _PLACES else ""
        span = doc.char_span(start, start + len(text), label, alignment_mode="expand") if label else None
        if span is not None:
            found.append(span)
    doc.ents = spacy.util.filter_spans(found)
    return Example(nlp.make_doc(case.text), doc)


if __name__ == "__main__":
    main()
