"""Deequ's strategies by hand; tests/spark holds them to the JVM's."""

from __future__ import annotations

import math

import pytest

from quality.anomaly import holt_winters
from quality.anomaly.holt_winters import HoltWinters
from quality.anomaly.judging import strategy_of
from quality.anomaly.strategies import (
    AbsoluteChange,
    BatchNormal,
    OnlineNormal,
    RelativeRateOfChange,
    SimpleThreshold,
)


def test_a_threshold_is_kept_at_its_bounds():
    assert SimpleThreshold(1, 3).detect([0, 1, 2, 3, 4, math.nan], 0, 6) == [0, 4]
    assert SimpleThreshold(upper=3).detect([9, 9, 9], 1, 2) == [1]


def test_changes_are_of_the_order_asked_for():
    assert AbsoluteChange(-1, 1).detect([0, 1, 3, 2, 0], 0, 5) == [2, 4]
    assert AbsoluteChange(-1, 1, 2).detect([0, 1, 2, 6, 7], 0, 5) == [3, 4]
    assert AbsoluteChange(increase=5, order=0).detect([4, 6], 0, 2) == [1]
    # the change of the first value judged is one against the value before the interval
    assert AbsoluteChange(-1, 1).detect([0, 9, 9], 1, 3) == [1]


def test_a_rate_is_the_ratio_to_the_value_before():
    assert RelativeRateOfChange(0.5, 2.0).detect([1, 2, 5, 1], 0, 4) == [2, 3]
    assert RelativeRateOfChange(0.5, 2.0).detect([0, 0, 3], 0, 3) == [2]


def test_the_running_mean_holds_the_tested_value():
    quiet = [1.0, -1.0] * 5
    assert OnlineNormal().detect([*quiet, 30.0, 1.0], 0, 12) == [10]
    # a single value among nine can be at most sqrt(8) deviations away
    assert OnlineNormal().detect([*quiet[:8], 1e9], 0, 9) == []


def test_found_values_are_left_out_of_what_follows():
    series = [1.0, -1.0] * 10 + [50.0, 50.0]
    # after two of them a third is nothing special, unless they are left out
    assert OnlineNormal(ignore_anomalies=False).detect([*series, 50.0], 0, 23) == [20, 21]
    assert OnlineNormal().detect([*series, 50.0], 0, 23) == [20, 21, 22]


def test_a_constant_history_makes_any_change_an_anomaly():
    assert BatchNormal().detect([5.0, 5.0, 5.0, 5.1], 3, 4) == [3]
    assert BatchNormal(upper_deviation_factor=None).detect([1.0, 2.0, 3.0, 99.0], 3, 4) == []
    assert BatchNormal().detect([1.0, 2.0, 3.0, 5.1], 3, 4) == [3]
    assert BatchNormal().detect([1.0, 2.0, 3.0, 4.9], 3, 4) == []


@pytest.mark.parametrize(
    ("name", "arguments", "why"),
    (
        ("SimpleThreshold", {"lower": 2, "upper": 1}, "must not be above"),
        ("AbsoluteChange", {}, "must be given"),
        ("AbsoluteChange", {"increase": 1, "order": -1}, "must not be negative"),
        ("OnlineNormal", {"upper_deviation_factor": -1}, "must not be negative"),
        ("OnlineNormal", {"ignore_start_percentage": 2}, "between 0 and 1"),
        ("BatchNormal", {"lower_deviation_factor": None, "upper_deviation_factor": None}, "must be given"),
        ("HoltWinters", {"interval": "Hourly", "seasonality": "Yearly"}, "Daily and Weekly"),
    ),
)
def test_what_deequ_refuses_is_refused(name, arguments, why):
    with pytest.raises(ValueError, match=why):
        strategy_of(name, arguments)


def test_a_rate_of_order_0_is_refused_where_deequ_refuses_it():
    with pytest.raises(ValueError, match="at least 1"):
        RelativeRateOfChange(0, 1, 0).detect([1, 2], 0, 2)


def test_too_short_a_series_is_refused():
    with pytest.raises(ValueError, match="no values are left"):
        BatchNormal().detect([1.0], 0, 1)
    with pytest.raises(ValueError, match="two full cycles"):
        HoltWinters().detect([1.0] * 20, 13, 20)


WEEK = [10.0, 12.0, 14.0, 13.0, 11.0, 4.0, 3.0]


def test_a_season_that_repeats_is_forecast():
    series = [value + 0.1 * ((7 * n) % 5) for n, value in enumerate(WEEK * 8)]
    found = HoltWinters().detect([*series[:53], 30.0, *series[54:]], 49, 56)
    assert 53 in found
    assert 53 not in HoltWinters().detect(series, 49, 56)


def test_smoothing_follows_the_textbook():
    # by hand: level 2, trend (6 - 4) / 4 = 0.5, season -1, 1; alpha = beta = gamma = 0.5
    model = holt_winters.smooth([1.0, 3.0, 2.0, 4.0], 2, 1, (0.5, 0.5, 0.5))
    assert model.residuals[:2] == pytest.approx((-0.5, -0.625))
    assert len(model.residuals) == 4
    assert len(model.forecasts) == 1


def test_the_fit_is_as_good_as_any_on_a_fine_grid():
    series = [value + math.sin(n * 1.7) for n, value in enumerate(WEEK * 4)]

    def error(weights):
        return sum(r * r for r in holt_winters.smooth(series, 7, 0, weights).residuals)

    steps = [n / 8 for n in range(9)]
    least = min(error((a, b, g)) for a in steps for b in steps for g in steps)
    assert error(holt_winters.fit(series, 7)) <= least * 1.001
