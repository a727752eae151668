"""Deequ's strategies here and in the JVM, over the same random series."""

from __future__ import annotations

import random

import pytest
from py4j.protocol import Py4JJavaError
from pyspark.errors import IllegalArgumentException

from quality.anomaly.holt_winters import HoltWinters, smooth
from quality.anomaly.judging import strategy_of

CASES = [
    ("SimpleThreshold", {"lower": -1.0, "upper": 1.0}),
    ("AbsoluteChange", {"decrease": -1.0, "increase": 1.5, "order": 1}),
    ("AbsoluteChange", {"increase": 1.5, "order": 2}),
    ("RelativeRateOfChange", {"decrease": 0.5, "increase": 2.0, "order": 1}),
    ("RelativeRateOfChange", {"increase": 1.5, "order": 2}),
    ("OnlineNormal", {"lower_deviation_factor": 1.5, "upper_deviation_factor": 2.0}),
    ("OnlineNormal", {"upper_deviation_factor": 1.0, "lower_deviation_factor": None, "ignore_anomalies": False}),
    ("BatchNormal", {"lower_deviation_factor": 1.0, "upper_deviation_factor": 1.5}),
    ("BatchNormal", {"upper_deviation_factor": 2.0, "lower_deviation_factor": None, "include_interval": True}),
]


def theirs(jvm, name, arguments):
    package = jvm.com.amazon.deequ.anomalydetection

    def option(value):
        return jvm.scala.Option.apply(None if value is None else float(value))

    if name == "SimpleThreshold":
        return package.SimpleThresholdStrategy(arguments["lower"], arguments["upper"])
    if name in ("AbsoluteChange", "RelativeRateOfChange"):
        kind = getattr(package, f"{name}Strategy")
        return kind(option(arguments.get("decrease")), option(arguments.get("increase")), arguments["order"])
    factors = option(arguments["lower_deviation_factor"]), option(arguments["upper_deviation_factor"])
    if name == "OnlineNormal":
        return package.OnlineNormalStrategy(*factors, 0.1, arguments.get("ignore_anomalies", True))
    return package.BatchNormalStrategy(*factors, arguments.get("include_interval", False))


def vector(jvm, values):
    numbers = jvm.java.util.ArrayList()
    for value in values:
        numbers.add(float(value))
    return jvm.scala.collection.JavaConverters.asScalaBufferConverter(numbers).asScala().toVector()


def places(found):
    # (index, anomaly) as Scala has pairs
    return [found.apply(n)._1() for n in range(found.size())]


@pytest.mark.parametrize(("name", "arguments"), CASES)
def test_verdicts_are_deequs(spark, name, arguments):
    jvm, rng = spark._jvm, random.Random(7)
    theirs_, ours = theirs(jvm, name, arguments), strategy_of(name, arguments)
    for length in (2, 12, 40):
        series = [rng.choice((0.0, rng.gauss(0, 1), rng.gauss(0, 4), 3.0)) for _ in range(length)]
        for start, end in ((0, 1), (length - 1, length), (length // 2, length)):
            interval = jvm.scala.Tuple2(start, end)
            try:
                expected = places(theirs_.detect(vector(jvm, series), interval))
            except IllegalArgumentException:
                with pytest.raises(ValueError, match=r"needed|left|positive|values"):
                    ours.detect(series, start, end)
            else:
                assert ours.detect(series, start, end) == expected


# HoltWinters


def doubles(found):
    return [found.apply(n) for n in range(found.size())]


def weekly(rng, length, noise):
    """A level, a trend and a week, with noise."""
    week, trend = [rng.uniform(-20, 20) for _ in range(7)], rng.uniform(-0.5, 0.5)
    return [100 + trend * n + week[n % 7] + rng.gauss(0, noise) for n in range(length)]


@pytest.mark.parametrize("period", (7, 12, 24))
def test_smoothing_is_deequs(spark, period):
    jvm, rng = spark._jvm, random.Random(period)
    model = jvm.com.amazon.deequ.anomalydetection.seasonal.HoltWinters(period)
    for length in (2 * period, 5 * period + 3):
        series = [rng.gauss(0, 1) * 10 ** rng.randrange(3) for _ in range(length)]
        for weights in ((0.3, 0.1, 0.1), (1.0, 0.0, 0.5), (0.0, 0.0, 0.0), (rng.random(), rng.random(), rng.random())):
            found = model.additiveHoltWinters(vector(jvm, series), period, 4, *weights)
            ours = smooth(series, period, 4, weights)
            assert ours.residuals == pytest.approx(doubles(found.residuals()), rel=1e-9, abs=1e-9)
            assert ours.forecasts == pytest.approx(doubles(found.forecasts())[-4:], rel=1e-9, abs=1e-9)


def test_verdicts_are_deequs_where_its_search_ends(spark):
    """Its search may end in an assertion of its own, or beside the least error: there the two may differ."""
    jvm, rng = spark._jvm, random.Random(3)
    model, ours = jvm.com.amazon.deequ.anomalydetection.seasonal.HoltWinters(7), HoltWinters()
    same, compared = 0, 0
    for number in range(24):
        series = weekly(rng, 42, 1.0)
        series[41] += (0, 60, -60)[number % 3]
        interval = jvm.scala.Tuple2(41, 42)
        try:
            expected = places(model.detect(vector(jvm, series), interval))
        except Py4JJavaError:
            continue
        compared += 1
        same += ours.detect(series, 41, 42) == expected
    assert compared >= 8
    assert same == compared


def test_too_short_a_series_is_refused_as_deequ_refuses_it(spark):
    jvm = spark._jvm
    model = jvm.com.amazon.deequ.anomalydetection.seasonal.HoltWinters(7)
    for length, start, end in ((20, 13, 20), (0, 0, 1), (20, 18, 18)):
        with pytest.raises((IllegalArgumentException, Py4JJavaError)):
            model.detect(vector(jvm, [1.0] * length), jvm.scala.Tuple2(start, end))
        with pytest.raises(ValueError, match=r"empty|needed"):
            HoltWinters().detect([1.0] * length, start, end)
