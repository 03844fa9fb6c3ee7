"""The funnel's flow conserves what it draws, and its texts never meet; bars hold every image."""

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.readiness.page_drawings import FLOW, MOST_LOSSES, MOST_ROWS, WIDTH, draw_bars, draw_flow

REASONS = st.dictionaries(st.text("abc_:", min_size=1, max_size=6), st.integers(1, 10_000), max_size=20)


@st.composite
def funnels(draw):
    """Steps whose losses and count make the count before, the last count drawn first."""
    lost = draw(st.lists(REASONS, min_size=1, max_size=6))
    count = draw(st.integers(0, 10_000))
    steps = []
    for reasons in reversed(lost):
        steps.append({"step": "a step", "count": count, "lost": reasons})
        count += sum(reasons.values())
    return [{"step": "found", "count": count, "lost": {}}, *reversed(steps)]


def edges(path):
    """Left and right end of a band where it leaves the flow, and its upper and lower edge where it ends."""
    numbers = [float(number) for number in re.findall(r"-?\d+\.?\d*", path)]
    right, upper, thick, left = numbers[0], numbers[9], numbers[11], numbers[-3]
    return left, right, upper, upper + thick


@given(funnels())
def test_the_flow_conserves_what_it_draws(steps):
    flow = draw_flow(steps)
    unit = FLOW / max(1, steps[0]["count"])
    assert len(flow.nodes) == len(steps)
    for node, step in zip(flow.nodes, steps, strict=True):
        assert node.width == pytest.approx(unit * step["count"])
        assert node.width <= FLOW + 1e-6
    for before, after in pairwise(flow.nodes):
        assert before.kept_width == pytest.approx(after.width)
        assert before.y + 18 + before.kept_height == pytest.approx(after.y)
    told = sum(int(b.text.split()[0].replace(",", "")) for b in flow.branches)
    assert told == steps[0]["count"] - steps[-1]["count"]


@given(funnels())
def test_no_two_texts_and_no_two_bands_of_the_flow_meet(steps):
    flow = draw_flow(steps)
    heights = sorted([b.y + 5 for b in flow.branches] + [n.y + 14 for n in flow.nodes])
    assert all(after - before >= 15 for before, after in pairwise(heights))
    assert heights[-1] <= flow.height
    bands = [edges(b.path) for b in flow.branches]
    for (_, _, _, lower), (_, _, upper, _) in pairwise(bands):
        assert upper >= lower


def test_the_first_loss_is_the_largest_and_turns_off_at_the_right():
    steps = [
        {"step": "found", "count": 100, "lost": {}},
        {"step": "left", "count": 50, "lost": {"x": 10, "duplicate": 40}},
    ]
    flow = draw_flow(steps)
    assert [(b.text, b.kind) for b in flow.branches] == [("40 duplicate", "held"), ("10 x", "lost")]
    (left, right, _, _), (next_left, next_right, _, _) = (edges(b.path) for b in flow.branches)
    assert (left, right) == pytest.approx((FLOW * 0.6, FLOW))
    assert (next_left, next_right) == pytest.approx((FLOW * 0.5, FLOW * 0.6))


def test_many_small_losses_are_drawn_together():
    lost = {f"reason_{n}": n + 1 for n in range(30)}
    steps = [{"step": "found", "count": 465, "lost": {}}, {"step": "left", "count": 0, "lost": lost}]
    texts = [b.text for b in draw_flow(steps).branches]
    assert len(texts) == MOST_LOSSES
    assert texts[0] == "30 reason 29"
    assert texts[-1] == f"{sum(range(1, 20))} 19 others"


def test_nothing_found_is_drawn_as_nothing():
    flow = draw_flow([{"step": "found", "count": 0, "lost": {}}, {"step": "left", "count": 0, "lost": {}}])
    assert [n.width for n in flow.nodes] == [0, 0]
    assert draw_flow([]).nodes == ()


@given(st.lists(st.tuples(st.integers(0, 30), st.sampled_from("ABCD")), max_size=80))
def test_bars_hold_every_image(images):
    bars = draw_bars([{"vendor": f"v{n}", "density": d} for n, d in images], "vendor")
    assert sum(bar.total for bar in bars.rows) == len(images)
    assert len(bars.rows) <= MOST_ROWS + 1
    for bar in bars.rows:
        assert sum(p.count for p in bar.pieces) == bar.total
        assert [p.density for p in bar.pieces] == sorted(p.density for p in bar.pieces)
        for before, after in pairwise(bar.pieces):
            assert after.x == pytest.approx(before.x + before.width)
        assert bar.pieces[-1].x + bar.pieces[-1].width <= WIDTH + 1e-6


def test_bars_keep_the_given_order_and_show_what_is_empty():
    rows = [{"split": "test", "density": "A"}] * 3 + [{"split": "train", "density": "D"}]
    bars = draw_bars(rows, "split", ("train", "validation", "test"))
    assert [(bar.label, bar.total) for bar in bars.rows] == [("train", 1), ("validation", 0), ("test", 3)]
    assert bars.rows[2].pieces[0].width == pytest.approx(WIDTH)
    assert bars.rows[0].pieces[0].width == pytest.approx(WIDTH / 3)
