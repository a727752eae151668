"""The profile of a batch against plain Python over the same values, in both ways a batch is run, and what the history keeps."""

from __future__ import annotations

import json
import math
import random
import statistics
import string
from collections import Counter
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import quality
from quality import profiles, row_samples
from quality.errors import InputError, UsageError
from quality.model import Column
from quality.tally import read
from tests.sizes import as_large
from tests.written import Place

UTC = timezone.utc
DRAW = random.Random(11)
NAN, INF = math.nan, math.inf
SIZE = 900


def _column(kind, draw, *awkward):
    values = [*awkward, *(draw() for _ in range(SIZE - len(awkward)))]
    DRAW.shuffle(values)
    return kind, values


def _maybe(draw):
    return lambda: None if DRAW.random() < 0.2 else draw()


COLUMNS = {
    "l": _column(pa.int64(), _maybe(lambda: DRAW.randrange(-50, 50)), 2**53 + 1, -(2**63), 2**63 - 1, 0),
    "i": _column(pa.int32(), lambda: DRAW.randrange(10)),
    "d": _column(pa.float64(), _maybe(lambda: DRAW.gauss(5, 2)), 0.0, -0.0, 1e300, -1e-300),
    "odd": _column(pa.float64(), lambda: DRAW.choice([1.5, 2.25]), NAN, INF, -INF, None),
    "f": _column(pa.float32(), _maybe(lambda: DRAW.randrange(100) / 4), NAN),
    "dec": _column(pa.decimal128(10, 2), _maybe(lambda: Decimal(DRAW.randrange(-9999, 9999)) / 100)),
    "big": _column(pa.decimal128(38, 10), lambda: Decimal(DRAW.choice((DRAW.randrange(10**30), DRAW.randrange(-99, 99)))).scaleb(-10)),
    "s": _column(pa.string(), _maybe(lambda: "".join(DRAW.choice("abÄ€1 ") for _ in range(DRAW.randrange(6)))), "", "  ", "\t", "😀"),
    "num": _column(pa.string(), lambda: DRAW.choice(["1", "-2", "+3", "4.5", ".5", "1e3", "x", ".", "1e", ""])),
    "mixed": _column(pa.string(), lambda: DRAW.choice(["true", "False", "2020-02-29", "2020-01-01 10:00:00", "2020-01-01T10:00Z", "tree"])),
    "day": _column(pa.date32(), _maybe(lambda: date(2020, 1, 1) + timedelta(days=DRAW.randrange(400))), date(1, 1, 1), date(9999, 12, 31)),
    "ts": _column(
        pa.timestamp("us", tz="UTC"),
        _maybe(lambda: datetime(2020, 1, 1, tzinfo=UTC) + timedelta(microseconds=DRAW.randrange(10**13))),
    ),
    "b": _column(pa.bool_(), _maybe(lambda: DRAW.random() < 0.3)),
    "empty": _column(pa.int32(), lambda: None),
    "list": _column(pa.list_(pa.int32()), _maybe(lambda: list(range(DRAW.randrange(4))))),
    "st": _column(pa.struct([("x", pa.int32())]), _maybe(lambda: {"x": 1})),
    "a.b `c": _column(pa.string(), lambda: DRAW.choice("xy")),
}  # fmt: skip
TEXTS = ("s", "num", "mixed", "a.b `c")
KINDS = {
    "num": {"1": "Integral", "-2": "Integral", "+3": "Integral", "4.5": "Fractional", ".5": "Fractional", "1e3": "Fractional"},
    "mixed": {"true": "Boolean", "False": "Boolean", "2020-02-29": "Date", "2020-01-01 10:00:00": "Timestamp",
              "2020-01-01T10:00Z": "Timestamp"},
}  # fmt: skip


@pytest.fixture(scope="module", params=("large", "small"))
def result(request, spark, tmp_path_factory):
    place = Place(tmp_path_factory.mktemp("profile"), spark)
    (place.directory / "in").mkdir()
    table = pa.table({name: pa.array(values, kind) for name, (kind, values) in COLUMNS.items()})
    for part in range(3):
        third = table.slice(part * SIZE // 3, SIZE // 3)
        pq.write_table(third, place.directory / "in" / f"{part}.parquet")
    rules = "- {mean: {column: i, at_least: 0}}\n- {max: {column: i, at_most: 3}, where: 'i < 5', severity: info}\n- at_most: {column: i, value: 8}"

    def run():
        return place.run(rules, format="parquet", path="*.parquet", top="profile: true")

    if request.param == "small":
        made = run()
    else:
        with as_large(spark):
            made = run()
    history = pq.read_table(next((place.root / "history" / "metrics").rglob("*.parquet"))).to_pylist()
    return made, history


def column(result, name):
    return next(one for one in result[0].profile.columns if one.name == name)


def present(name):
    return [value for value in COLUMNS[name][1] if value is not None]


def finite(name):
    return [float(v) for v in present(name) if math.isfinite(v)]


@pytest.mark.parametrize("name", COLUMNS)
def test_rows_and_values_are_counted(result, name):
    found = column(result, name)
    assert (found.rows, found.tally.present) == (SIZE, len(present(name)))


@pytest.mark.parametrize("name", ("l", "i", "d", "odd", "f", "dec", "big", "empty"))
def test_numbers_are_those_of_python(result, name):
    numbers, values = column(result, name).tally.numbers, finite(name)
    assert numbers.count == len(values)
    assert numbers.zeros == sum(v == 0 for v in values)
    assert numbers.negatives == sum(v < 0 for v in values)
    assert numbers.nans == sum(isinstance(v, float) and math.isnan(v) for v in present(name))
    if not values:
        assert (numbers.minimum, numbers.mean) == (None, None)
        return
    assert (numbers.smallest, numbers.largest) == (min(values), max(values))
    mean = math.fsum(values) / len(values)
    assert numbers.mean_of_finite == pytest.approx(mean, rel=1e-12)
    deviation = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / len(values)) if max(values) < 1e100 else None
    if deviation is not None:
        third = math.fsum((v - mean) ** 3 for v in values) / len(values)
        fourth = math.fsum((v - mean) ** 4 for v in values) / len(values)
        assert math.sqrt(numbers.m2 / numbers.count) == pytest.approx(deviation, rel=1e-9)
        if name != "odd":
            assert (
                column(result, name).tally.numbers.skewness == pytest.approx(third / deviation**3, rel=1e-6, abs=1e-9)
                or numbers.infinite
            )
            assert numbers.kurtosis == pytest.approx(fourth / deviation**4 - 3, rel=1e-6, abs=1e-9) or numbers.infinite


def test_what_is_not_finite_decides_as_spark_does(result):
    numbers = column(result, "odd").tally.numbers
    assert (numbers.above, numbers.below, numbers.minimum) == (1, 1, -INF)
    assert math.isnan(numbers.maximum)
    assert math.isnan(numbers.mean)
    assert math.isnan(numbers.standard_deviation)


@pytest.mark.parametrize("name", ("l", "i", "d", "f", "dec", "big"))
def test_quantiles_are_within_one_percent(result, name):
    values = sorted(finite(name))
    for q, found in column(result, name).quantiles.items():
        near = values[max(0, math.ceil(q * len(values)) - 2) : math.ceil(q * len(values)) + 1]
        assert any(abs(found - v) <= 0.01 * abs(v) + 1e-12 for v in near), (q, found, near)


@pytest.mark.parametrize("name", [name for name in COLUMNS if name not in ("st", "list", "odd", "f")])
def test_values_are_counted_one_by_one(result, name):
    found, counts = column(result, name), Counter(present(name))
    assert found.top_exact
    assert found.distinct == len(counts)
    assert sorted(count for _, count in found.top) == sorted(counts.values())
    if name in (*TEXTS, "i", "l"):
        assert dict(found.top) == {str(value): count for value, count in counts.items()}
    if name == "dec":
        assert dict(found.top) == {f"{value:.2f}": count for value, count in counts.items()}
    if name in ("day", "ts"):
        assert {text.split(".")[0] for text, _ in found.top} == {str(v).split(".")[0].split("+")[0] for v in counts}


@pytest.mark.parametrize("name", TEXTS)
def test_texts_are_those_of_python(result, name):
    texts, values = column(result, name).tally.texts, present(name)
    lengths = [len(v) for v in values]
    assert (texts.shortest, texts.longest, texts.total_length) == (min(lengths), max(lengths), sum(lengths))
    assert texts.empty == sum(v == "" for v in values)
    assert texts.blank == sum(v != "" and not v.strip(" \t\n\r\x0b\x0c") for v in values)
    assert sum(texts.kinds.values()) == len(values)
    assert sum(texts.shapes.values()) + texts.other_shapes == len(values)
    signs = Counter("".join(values))
    kinds = {"digit": string.digits, "upper": string.ascii_uppercase, "lower": string.ascii_lowercase}
    assert texts.signs == {kind: sum(signs[sign] for sign in of) for kind, of in kinds.items()}
    if name in KINDS:
        assert {k: n for k, n in texts.kinds.items() if n} == Counter(KINDS[name].get(v, "Text") for v in values)


def test_dates_and_moments_have_their_ends_and_quantiles(result):
    for name in ("day", "ts"):
        found, values = column(result, name), sorted(present(name))
        temporal = found.tally.temporal
        assert found.moment(temporal.smallest) == str(values[0])
        assert found.moment(temporal.largest) == str(values[-1])
    middle = sorted(present("ts"))[len(present("ts")) // 2]
    found = datetime.fromisoformat(column(result, "ts").moment(column(result, "ts").quantiles[0.5]))
    span = max(present("ts")) - min(present("ts"))
    assert abs(found - middle) < span / 100


def test_truth_values_are_counted(result):
    assert column(result, "b").tally.trues == sum(present("b"))


def test_columns_that_are_null_together_are_told(result):
    names = list(COLUMNS)
    rows = zip(*(COLUMNS[name][1] for name in names), strict=True)
    expected = Counter(tuple(n for n, v in zip(names, row, strict=True) if v is None) for row in rows)
    found = dict(result[0].profile.null_patterns)
    assert found == dict(expected)


def test_rules_have_their_metrics_from_the_tally(result):
    made = result[0]
    assert made.rule("i.mean")["metric"]["value"] == pytest.approx(statistics.fmean(present("i")))
    assert made.rule("i.max")["metric"]["value"] == 4
    assert made.rule("i.max")["status"] == "failed"
    assert made.rule("i.at_most")["failed_rows"] == sum(v > 8 for v in present("i"))


def test_the_history_keeps_metrics_and_sketches(result):
    _, history = result
    by_name = {(row["name"], row["instance"], row["parameters"], row["filter"]): row for row in history}
    assert len(by_name) == len(history)
    complete = by_name["Completeness", "l", "{}", ""]
    assert (complete["numerator"], complete["denominator"]) == (len(present("l")), SIZE)
    assert by_name["Size", "*", "{}", ""]["value"] == SIZE
    bins = by_name["ApproxQuantiles", "i", "{}", ""]["sketch"]
    assert (bins["format"], bins["version"]) == ("bins", 1)
    assert profiles.read_bins(bins["bytes"]).counts.sum() == SIZE
    top = json.loads(by_name["Histogram", "s", "{}", ""]["sketch"]["bytes"])
    assert dict(map(tuple, top["values"])) == Counter(present("s"))
    assert len(by_name["ApproxCountDistinct", "d", "{}", ""]["sketch"]["bytes"]) == 4096


def test_many_distinct_values_are_estimated(spark):
    from pyspark.sql import functions as F

    from quality.backends.tally import PROFILED, tally

    rows = 60_000
    frame = spark.range(rows).repartition(3).selectExpr(
        "id", "concat('t', id) as t", "if(id % 4 = 0, 'often', concat('x', id)) as often", "cast(id as double) / 7 as d",
        "timestamp_micros(id * 1000003) as ts",
    )  # fmt: skip
    columns = tuple(Column(field.name, field.dataType.simpleString()) for field in frame.schema.fields)
    the_tally = tally(spark)
    assert the_tally is not None
    aggregate = the_tally.column([(PROFILED, column.name) for column in columns])
    content = bytes(frame.agg(aggregate.alias("a")).select(F.col("a")).collect()[0][0])
    found = profiles.profile(read(content, "ppppp", [column.type for column in columns]), columns)
    for one in found.columns:
        expected = rows if one.name != "often" else rows * 3 // 4 + 1
        assert one.distinct == pytest.approx(expected, rel=0.06)
        assert not one.top_exact
    often = next(one for one in found.columns if one.name == "often")
    assert often.top[0][0] == "often"
    assert often.top[0][1] == pytest.approx(rows / 4, rel=0.1)
    numbers = next(one for one in found.columns if one.name == "d")
    assert numbers.quantiles[0.5] == pytest.approx(rows / 14, rel=0.011)


#: Rows that are copies of one before, by what Spark takes for equal: NULL and NULL, NaN and NaN, 0 and minus 0.
DOUBLED = [
    (row, copies)
    for row, copies in (
        ((1, "a", 1.5, [1, 2], {"k": 1}, (1, "x"), b"ab"), 3),
        ((1, "a", 1.5, [2, 1], {"k": 1}, (1, "x"), b"ab"), 1),
        ((1, "a", 1.5, [1, 2], {"k": 2}, (1, "x"), b"ab"), 1),
        ((1, "a", 1.5, [1, 2], {"k": 1}, (1, None), b"ab"), 2),
        ((1, "a", 1.5, [1, 2], {"k": 1}, (1, "x"), b"ba"), 1),
        ((None, "", 0.0, None, None, None, None), 1),
        ((None, "", -0.0, None, None, None, None), 1),
        ((None, None, NAN, None, None, None, None), 2),
        ((None, None, None, None, None, None, None), 4),
        ((0, None, None, None, None, None, None), 1),
    )
]


@pytest.mark.parametrize("parts", (1, 5))
def test_rows_that_are_copies_of_another_are_counted(spark, parts):
    rows = [row for row, copies in DOUBLED for _ in range(copies)]
    schema = "i int, t string, d double, l array<int>, m map<string,int>, s struct<x:int,y:string>, b binary"
    found = quality.profile(spark.createDataFrame(rows, schema).repartition(parts))
    different = len(DOUBLED) - 1
    assert found.doubled == (len(rows) - different, len(rows))
    assert found.to_dict()["duplicate_ratio"] == pytest.approx(1 - different / len(rows))
    assert quality.profile(spark.createDataFrame([], schema)).duplicate_ratio is None


def test_copies_among_many_rows_are_told_by_a_sample(spark):
    rows, again = 200_000, 4_000
    frame = spark.range(rows).selectExpr("id", "id % 7 as n", "concat('t', id % 9999) as t")
    whole = frame.union(frame.where(f"id < {again}"))
    few, many = (quality.profile(whole.repartition(parts)) for parts in (1, 8))
    # the rows that are sampled are the same however the batch is divided
    assert few.doubled == many.doubled
    sampled, alike = (row_samples.read(one.sample or b"") for one in (few, many))
    assert Counter(sampled.columns["n"].tolist()) == Counter(alike.columns["n"].tolist())
    assert few.doubled is not None
    copies, looked_at = few.doubled
    assert 4_096 <= looked_at - copies <= row_samples.COUNTED
    share = again / (rows + again)
    assert few.duplicate_ratio == pytest.approx(share, abs=4 * math.sqrt(share / looked_at))
    # of many tasks each hands on its part
    by_many = quality.profile(whole.repartition(80))
    assert by_many.doubled is not None
    assert 4_096 <= by_many.doubled[1] - by_many.doubled[0] <= row_samples.COUNTED
    assert 1_024 <= len(row_samples.read(by_many.sample or b"").times) <= 2_048
    assert by_many.duplicate_ratio == pytest.approx(share, abs=4 * math.sqrt(share / by_many.doubled[1]))
    assert 1_024 <= len(sampled.times) <= 2_048
    assert [*sampled.columns] == ["n"], "an identifier's values are not kept"
    assert set(Counter(sampled.columns["n"].tolist()).values()) <= {*range(90, 400)}


def test_a_thousand_columns_are_profiled(spark, tmp_path):
    place = Place(tmp_path, spark)
    (tmp_path / "in").mkdir()
    names = [f"c{n}" for n in range(1000)]
    pq.write_table(pa.table({name: [n, None, 2 * n] for n, name in enumerate(names)}), tmp_path / "in" / "a.parquet")
    with as_large(spark):
        made = place.run(
            "- row_count: {at_least: 1}\n- required: c5", format="parquet", path="a.parquet", top="profile: true"
        )
    assert made.data["rows"] == {"input": 3, "passed": 2, "quarantined": 1, "flagged": 0}
    assert made.profile is not None
    largest = [one.tally.numbers.largest for one in made.profile.columns if one.tally.numbers]
    assert largest == [2.0 * n for n in range(1000)]


def test_a_file_is_profiled_without_a_rule(spark, tmp_path):
    (tmp_path / "a.csv").write_text("n,t\n1,x\n2,\n,y\n")
    found = quality.profile(str(tmp_path / "a.csv"), spark=spark)
    assert [(one.name, one.tally.present, one.inferred) for one in found.columns] == [
        ("n", 2, "Integral"),
        ("t", 2, "Text"),
    ]
    assert quality.profile(spark.range(5)).columns[0].distinct == 5


def test_a_file_whose_format_nobody_tells_is_a_mistake(spark, tmp_path):
    with pytest.raises(UsageError, match="the name does not tell the format"):
        quality.profile(str(tmp_path / "a.data"), spark=spark)
    with pytest.raises(InputError, match="no file matches"):
        quality.profile(str(tmp_path / "none.csv"), spark=spark)


def test_a_driver_that_takes_no_classes_measures_with_sparks_own_aggregates(spark, tmp_path, monkeypatch, caplog):
    from weakref import WeakKeyDictionary

    from quality.backends import tally as module

    monkeypatch.setattr(module, "_FOUND", WeakKeyDictionary())
    monkeypatch.setattr(module, "_mutable", lambda _loader: None)
    place = Place(tmp_path, spark)
    (tmp_path / "in").mkdir()
    pq.write_table(pa.table({"n": [1, 2, 2, 9]}), tmp_path / "in" / "a.parquet")
    rules = "- at_most: {column: n, value: 5}\n- unique: n\n- mean: {column: n, equals: 3.5}"
    with as_large(spark):
        made = place.run(rules, format="parquet", path="a.parquet", top="profile: true")
    assert made.data["rows"] == {"input": 4, "passed": 1, "quarantined": 3, "flagged": 0}
    assert [entry["failed_rows"] for entry in made.data["rules"]] == [1, 2, None]
    assert made.rule("n.mean")["status"] == "passed"
    assert made.profile is None
    assert "no profile" in caplog.text


def test_a_profile_as_json_has_no_number_that_json_lacks(result):
    json.dumps(result[0].profile.to_dict(), allow_nan=False)
