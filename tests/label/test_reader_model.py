from collections import Counter

import numpy as np
import pytest
from scipy.stats import norm

from pipelines.label.agreement import WEIGHTS, kappa
from pipelines.label.reader_model import PREVALENCE, Strength, confusion, fit_reader_model, pattern_of
from pipelines.label.readings import Reading

READERS = {"r0": (0.0, 0.30), "r1": (0.15, 0.36), "r2": (-0.2, 0.40), "r3": (0.3, 0.50)}
MIX = (0.2, 0.3, 0.3, 0.2)


def read(cases, seed, least=2, readers=READERS, mix=MIX):
    """The truth, and each case's words by reader."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(4, cases, p=mix)
    errors = {name: confusion(*habit) for name, habit in readers.items()}
    said = []
    for true in truth:
        who = sorted(rng.choice(list(readers), rng.integers(least, len(readers) + 1), replace=False))
        said.append({name: int(rng.choice(4, p=errors[name][true])) for name in who})
    return truth, said


def pattern(words):
    return pattern_of(Reading(name, "ABCD"[word]) for name, word in words.items())


def dawid_skene(said, rounds):
    """Dawid and Skene's EM (1979) in plain loops, from the shares of the words."""
    names = sorted({name for words in said for name in words})
    chance = [[sum(w == t for w in words.values()) / len(words) for t in range(4)] for words in said]
    for _ in range(rounds):
        prevalence = [sum(c[t] for c in chance) / len(said) for t in range(4)]
        errors = {}
        for name in names:
            for t in range(4):
                total = sum(c[t] for c, words in zip(chance, said, strict=True) if name in words)
                for k in range(4):
                    hits = sum(c[t] for c, words in zip(chance, said, strict=True) if words.get(name) == k)
                    errors[name, t, k] = hits / total
        chance = []
        for words in said:
            joint = [prevalence[t] for t in range(4)]
            for name, k in words.items():
                joint = [joint[t] * errors[name, t, k] for t in range(4)]
            chance.append([j / sum(joint) for j in joint])
    return np.array(chance), prevalence, errors


def test_without_priors_it_is_dawid_and_skenes_own():
    _, said = read(250, seed=3)
    chance, prevalence, errors = dawid_skene(said, 200)
    model = fit_reader_model(Counter(map(pattern, said)), Strength(0.0, 0.0), tolerance=1e-9, most=2000)
    assert np.abs(np.stack([model.posterior(pattern(words)) for words in said]) - chance).max() < 1e-3
    assert model.prevalence == pytest.approx(prevalence, abs=1e-3)
    found = [model.errors[name][t, k] for name, t, k in errors]
    assert found == pytest.approx(list(errors.values()), abs=1e-3)


def test_kernel_is_an_ordered_probit_with_slips():
    edges = (-np.inf, 0.5, 1.5, 2.5, np.inf)
    for true in range(4):
        for word in range(4):
            area = norm.cdf(edges[word + 1], true + 0.2, 0.4) - norm.cdf(edges[word], true + 0.2, 0.4)
            assert confusion(0.2, 0.4)[true, word] == pytest.approx(0.98 * area + 0.005)


def test_two_readers_nobody_knows_agree_as_published():
    unknown = fit_reader_model({}).unknown
    joint = unknown.T @ np.diag(PREVALENCE) @ unknown
    assert 0.57 < float(kappa(joint, WEIGHTS["linear"])) < 0.77
    assert float(kappa(joint, WEIGHTS["linear"])) == pytest.approx(0.66, abs=0.01)
    assert (np.diag(unknown) @ PREVALENCE) == pytest.approx(0.84, abs=0.01)


def test_errors_are_learned_from_many_cases_and_hardly_from_few():
    _, said = read(6000, seed=5)
    many = fit_reader_model(Counter(map(pattern, said)))
    for name, habit in READERS.items():
        assert np.abs(many.errors[name] - confusion(*habit)).max() < 0.06
    few = fit_reader_model(Counter(map(pattern, said[:4])))
    for name in few.errors:
        assert np.abs(few.errors[name] - few.unknown).max() < 0.15


def test_cases_read_once_teach_no_errors():
    _, said = read(500, seed=6)
    once = [{"r0": word} for word in (0, 1, 1, 2, 3)] * 50
    model = fit_reader_model(Counter(map(pattern, once)))
    assert model.errors["r0"] == pytest.approx(model.unknown)
    assert model.read == {"r0": 0}
    together = fit_reader_model(Counter(map(pattern, said)))
    assert together.read["r0"] == sum("r0" in words for words in said)


def test_shrinkage_beats_free_tables_on_few_cases():
    """Held-out log score of the truth, few cases of each reader: with the priors it is better than without."""
    truth, said = read(80, seed=8)
    new_truth, new = read(2000, seed=9)

    def score(strength):
        model = fit_reader_model(Counter(map(pattern, said)), strength)
        chance = np.stack([model.posterior(pattern(words)) for words in new])
        return np.log(np.maximum(chance[np.arange(len(new)), new_truth], 1e-3)).mean()

    assert len(truth) == 80
    assert score(Strength()) > score(Strength(0.0, 0.0)) + 0.05


def test_a_set_is_as_likely_as_the_densities_in_it_together():
    model = fit_reader_model({})
    coarse, plain = (model.posterior(pattern_of([Reading("r", said)])) for said in ("BC", "B"))
    likely = model.unknown[:, 1] + model.unknown[:, 2]
    assert coarse == pytest.approx(model.prevalence * likely / (model.prevalence @ likely))
    assert plain[1] > coarse[1]
