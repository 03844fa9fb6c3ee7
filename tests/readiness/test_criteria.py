import pytest

from pipelines.readiness.criteria import (
    LEVELS,
    RUNGS,
    Criterion,
    check,
    criteria_of,
    evaluate,
    load_criteria,
    load_levels,
)


def good(criterion):
    return criterion.threshold + (1 if criterion.operator == ">" else 0)


HEALTHY = {c.measure: good(c) for c in load_criteria()}


def bad(criterion):
    return None if criterion.operator == "measured" else criterion.threshold + (-1 if ">" in criterion.operator else 1)


@pytest.mark.parametrize("criterion", load_criteria(), ids=lambda c: c.id)
def test_each_criterion_drops_the_level_to_the_rung_below(criterion):
    assert evaluate(HEALTHY).rung == "synthetic"
    found = evaluate({**HEALTHY, criterion.measure: bad(criterion)})
    reached = RUNGS.index(criterion.level)
    assert found.rung == (RUNGS[reached - 1] if reached else None)
    assert found.level == (LEVELS[min(reached, 4) - 1] if reached else None)


@pytest.mark.parametrize("criterion", load_criteria(), ids=lambda c: c.id)
def test_what_was_not_measured_blocks_only_where_it_is_required(criterion):
    for missing in ({**HEALTHY, criterion.measure: None}, {**HEALTHY, criterion.measure: float("nan")}):
        found = evaluate(missing)
        result = next(r for r in found.results if r.criterion == criterion)
        assert (result.holds, result.value) == (None, None)
        assert (found.rung == "synthetic") is not criterion.required


def test_criteria_are_sound():
    for criterion in load_criteria():
        assert criterion.id.isidentifier()
        assert criterion.statement[0].isupper()
        assert criterion.source
        assert criterion.how[:1].isupper(), f"{criterion.id} does not say how it is measured"
        assert criterion.asset.count("/") == 1
    assert {c.level for c in load_criteria()} == set(RUNGS)


def test_every_rung_is_told_in_words():
    assert tuple(load_levels()) == RUNGS
    assert all(level.title and level.meaning.endswith(".") for level in load_levels().values())


def test_the_lowest_part_decides():
    parts = {"D-1": {**HEALTHY, "b_kept": 3}, "D-2": {**HEALTHY, "b_kept": 1, "c_survivors": 2}}
    found = evaluate(HEALTHY, parts)
    assert (found.level, found.deliveries) == ("D", {"D-1": "B", "D-2": "D"})
    assert next(r for r in found.results if r.criterion.measure == "c_survivors").value == 2


def test_a_delivery_that_gives_nothing_is_no_part():
    parts = {"D-1": {**HEALTHY, "b_kept": 3}, "D-2": {**HEALTHY, "b_kept": 0, "c_survivors": 2}}
    found = evaluate(HEALTHY, parts)
    assert (found.level, found.parts, found.deliveries["D-2"]) == ("A", ("D-1",), "D")


def test_without_images_every_delivery_is_a_part():
    parts = {"D-1": {**HEALTHY, "b_kept": 0}, "D-2": {**HEALTHY, "b_kept": 0, "d_unhashed": 1}}
    assert evaluate(HEALTHY, parts).level is None


def test_one_part_not_measured_is_not_hidden_by_another():
    parts = {"D-1": {**HEALTHY, "b_kept": 3}, "D-2": {**HEALTHY, "b_kept": 1, "c_survivors": None}}
    assert evaluate(HEALTHY, parts).level == "D"


def test_checks_of_one_asset():
    ids = [c.id for c in criteria_of("level_d/inventory")]
    assert ids[:3] == ["every_file_accounted", "duplicates_name_their_original", "every_accepted_file_hashed"]
    assert ids[3:] == ["something_accepted"]
    results = check("level_d/inventory", {"d_unaccounted": 2, "d_duplicates_astray": 0, "d_accepted": 1})
    assert [r.holds for r in results] == [False, True, None, True]
    assert check("no/asset", {}) == []


def test_unsound_criteria_are_refused():
    values = {**vars(load_criteria()[0])}
    for wrong in ({"level": "E"}, {"operator": "!="}, {"scope": "all"}):
        with pytest.raises(ValueError, match="criterion"):
            Criterion(**{**values, **wrong})
