"""Deequ's strategies here and in the JVM, over the same random series."""

from __future__ import annotations

import random

import pytest
from pyspark.errors import IllegalArgumentException

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
