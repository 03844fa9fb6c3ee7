"""Detectors: what is usual does not ring, what is not does, at the limits that are stated."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipelines.pgan.detectors import GradientMeter, Limits, alarm_of_glances, alarm_of_record, gradient_norm

LIMITS = Limits()


def record(**changes: float) -> dict[str, float]:
    usual = {"images": 8, "critic_loss": 1.0, "critic_gap": 1.0, "critic_gradient": 0.5, "generator_gradient": 0.2}
    return {**usual, **changes}


def glance(diversity: float | None, finite: bool = True) -> dict[str, object]:
    return {"diversity": diversity, "finite": finite}


@given(st.lists(st.floats(0.2, 3), min_size=0, max_size=30), st.floats(0.2, 3))
def test_what_is_of_the_usual_size_does_not_ring(past, now):
    earlier = [record(critic_gap=v, critic_gradient=v, generator_gradient=v) for v in past]
    assert (
        alarm_of_record(record(critic_gap=-now, critic_gradient=now, generator_gradient=now), earlier, LIMITS) is None
    )


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", ["critic_loss", "generator_gradient"])
def test_what_is_not_finite_rings_from_the_first_record_on(name, value):
    alarm = alarm_of_record(record(**{name: value}), [], LIMITS)
    assert (alarm.reason, alarm.figure, alarm.value) == ("not_finite", name, None)
    assert str(alarm) == f"not_finite: {name} is not finite"


@pytest.mark.parametrize(
    ("name", "usual", "limit", "reason"),
    [
        ("generator_gradient", 0.2, 20.0, "exploding_gradient"),
        ("critic_gradient", 0.5, 50.0, "exploding_gradient"),
        ("critic_gap", 1.0, 30.0, "exploding_critic_gap"),
    ],
)
def test_a_multiple_of_the_median_rings_just_above_the_limit(name, usual, limit, reason):
    earlier = [record(**{name: usual})] * 5
    assert alarm_of_record(record(**{name: limit * 0.999}), earlier, LIMITS) is None
    alarm = alarm_of_record(record(**{name: limit * 1.001}), earlier, LIMITS)
    assert (alarm.reason, alarm.figure, alarm.limit) == (reason, name, pytest.approx(limit))
    assert alarm_of_record(record(**{name: limit * 10}), earlier[1:], LIMITS) is None


def test_one_outlier_of_the_past_does_not_raise_the_limit():
    earlier = [record()] * 10 + [record(critic_gradient=1e6)]
    assert alarm_of_record(record(critic_gradient=1e3), earlier, LIMITS) is not None


def test_only_the_last_records_count():
    earlier = [record(critic_gradient=1e4)] * 50 + [record()] * 20
    assert alarm_of_record(record(critic_gradient=1e3), earlier, LIMITS) is not None


def test_a_small_critics_gap_never_rings():
    assert alarm_of_record(record(critic_gap=19), [record(critic_gap=1e-3)] * 9, LIMITS) is None


def test_a_collapse_rings_only_after_there_was_diversity():
    assert alarm_of_glances([glance(0.01), glance(0.02)], LIMITS) is None
    assert alarm_of_glances([glance(0.01), glance(0.3), glance(0.1)], LIMITS) is None
    alarm = alarm_of_glances([glance(0.3), glance(0.6), glance(0.099)], LIMITS)
    assert (alarm.reason, alarm.value, alarm.limit) == ("collapse", 0.099, 0.1)
    assert alarm_of_glances([glance(0.3), glance(None)], LIMITS) is None


def test_pictures_that_are_not_finite_ring_at_once():
    assert alarm_of_glances([glance(None, finite=False)], LIMITS).reason == "not_finite"


def test_the_gradient_norm_is_that_of_all_parameters_together():
    network = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 1))
    assert gradient_norm(network) == 0
    network[0].weight.grad = torch.tensor([[3.0, 0], [0, 0]])
    network[1].bias.grad = torch.tensor([4.0])
    assert gradient_norm(network) == pytest.approx(5)
    network[1].bias.grad = torch.tensor([math.nan])
    assert math.isnan(gradient_norm(network))


def test_a_record_takes_the_median_of_the_steps_since_the_last():
    generator, critic = torch.nn.Linear(1, 1, bias=False), torch.nn.Linear(1, 1, bias=False)
    meter = GradientMeter()
    for step in (1.0, 300.0, 2.0):
        generator.weight.grad, critic.weight.grad = torch.tensor([[step]]), torch.tensor([[10 * step]])
        meter.note(generator, critic)
    again = GradientMeter(meter.state())
    assert meter.take() == again.take() == {"generator_gradient": 2, "critic_gradient": 20}
    assert meter.state() == []
