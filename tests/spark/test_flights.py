"""The demo's flights: a day gone bad against rules written once more in plain Python, and day after day (with --full a month)."""

from __future__ import annotations

import csv
import re
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from quality import run
from quality.demo_data import poison, write_batches
from tests.written import records, rows

RULES = Path(__file__).parents[2] / "rules" / "flights.yml"
CARRIERS = ["9E", "AA", "AS", "B6", "DL", "EV", "F9", "FL", "HA", "MQ", "OO", "UA", "US", "VX", "WN", "YV"]
INTEGERS = [
    "year",
    "month",
    "day",
    "dep_time",
    "sched_dep_time",
    "arr_time",
    "sched_arr_time",
    "flight",
    "distance",
    "dep_delay",
    "arr_delay",
    "air_time",
    "hour",
    "minute",
]
KEY = ["year", "month", "day", "carrier", "flight", "origin"]


@pytest.fixture(scope="module")
def month(tmp_path_factory, request):
    """Its first days, or with --full all of it."""
    days = 31 if request.config.getoption("--full") else 10
    return write_batches(tmp_path_factory.mktemp("flights") / "incoming", date(2013, 1, 1), days)


def judge(spark: Any, day: Path, root: Path, batch: str = "2013-01-01") -> Any:
    return run(RULES, batch, input=str(day), root=str(root), spark=spark)


# the rules of flights.yml, one row at a time


def whole(text: str | None) -> int | None:
    return int(text) if text is not None and re.fullmatch(r"[+-]?\d+", text) else None


def outside(value: int | None, low: int, high: int) -> bool:
    return value is not None and not low <= value <= high


def failing(lines: list[str]) -> dict[tuple[str, ...], Counter[tuple[str, ...]]]:
    """The rules that each line fails, by its fields; how often, for lines that stand there twice."""
    header, *records = csv.reader(lines)
    sound = [
        {name: None if text in ("", "NA") else text for name, text in zip(header, fields, strict=True)}
        for fields in records
        if len(fields) == len(header)
    ]
    keys = Counter(tuple(row[name] for name in KEY) for row in sound)
    found: dict[tuple[str, ...], Counter[tuple[str, ...]]] = {}
    for line, fields in zip(lines[1:], records, strict=True):
        if len(fields) != len(header):
            found.setdefault((line,), Counter())[("malformed",)] += 1
    for row in sound:
        reasons = tuple(_reasons(row, keys))
        if set(reasons) - {"short-hops-from-jfk"}:
            found.setdefault(tuple(str(row[name]) for name in header), Counter())[tuple(reasons)] += 1
    return found


def _reasons(row: dict[str, str | None], keys: Counter[tuple[str | None, ...]]) -> list[str]:
    number = {name: whole(row[name]) for name in INTEGERS}
    key = tuple(row[name] for name in KEY)
    wrong = {f"{name}.type": row[name] is not None and number[name] is None for name in INTEGERS}
    wrong |= {f"{name}.required": number[name] is None for name in ("year", "month", "day")}
    wrong |= {f"{name}.required": row[name] is None for name in ("carrier", "origin", "dest", "time_hour")}
    air, there = number["air_time"], number["arr_time"] is not None
    distance = number["distance"]
    wrong |= {
        "key": any(part is None for part in key) or keys[key] > 1,
        "month.between": outside(number["month"], 1, 12),
        "day.between": outside(number["day"], 1, 31),
        "carrier.in": row["carrier"] is not None and row["carrier"] not in CARRIERS,
        "origin.in": row["origin"] is not None and row["origin"] not in ("EWR", "JFK", "LGA"),
        "dest.matches": row["dest"] is not None and not re.fullmatch("[A-Z]{3}", row["dest"]),
        "tailnum.matches": row["tailnum"] is not None and not re.fullmatch("[ND][0-9A-Z]{2,5}", row["tailnum"]),
        "distance.above": distance is not None and distance <= 0,
        "distance.at_most": distance is not None and distance > 5000,
        "dep_delay.between": outside(number["dep_delay"], -60, 1800),
        "arrival-needs-a-departure": number["dep_time"] is None and there,
        "flew-a-possible-time": there and outside(air, 15, 800),
        "short-hops-from-jfk": row["origin"] == "JFK" and distance is not None and distance > 2600,
    }
    return sorted(name for name, failed in wrong.items() if failed)


def found_in(root: Path, record: dict[str, Any], header: list[str]) -> Any:
    """The quarantine in the same form; typed values are texts again."""
    found: dict[tuple[str, ...], Counter[tuple[str, ...]]] = {}
    for row in rows(root, record, "quarantine"):
        failures = row.pop("_quality")["failures"]
        reasons = tuple(
            sorted("key" if reason["rule"].startswith(("key", "year,")) else reason["rule"] for reason in failures)
        )
        if reasons == ("malformed",):
            found.setdefault((failures[0]["value"],), Counter())[reasons] += 1
            continue
        shown = {reason["column"]: reason["value"] for reason in failures if reason["rule"].endswith(".type")}
        texts = {name: shown.get(name, row[name]) for name in header}
        texts["time_hour"] = row["time_hour"].strftime("%Y-%m-%dT%H:%M:%SZ") if row["time_hour"] else None
        found.setdefault(tuple(str(texts[name]) for name in header), Counter())[reasons] += 1
    return found


def test_a_poisoned_day_fails_exactly_the_rows_that_plain_python_finds(spark, month, tmp_path):
    bad = tmp_path / "bad.csv"
    damages = poison(month[0], bad)
    lines = bad.read_text(encoding="utf-8").splitlines()
    result = judge(spark, bad, tmp_path / "out")
    (record,) = records(tmp_path / "out", "flights", "2013-01-01")
    expected = failing(lines)
    assert found_in(tmp_path / "out", record, lines[0].split(",")) == expected
    gone = sum(count for reasons in expected.values() for count in reasons.values())
    # a repeated row fails with the row that it repeats
    assert gone == sum(damages.values()) + damages["duplicates"]
    assert record["rows"] == {
        "input": len(lines) - 1,
        "passed": len(lines) - 1 - gone,
        "quarantined": gone,
        "flagged": 0,
    }
    assert len(rows(tmp_path / "out", record, "passed")) == len(lines) - 1 - gone
    # the rule file holds a batch of which more than a fifth is quarantined
    assert result.exit_code == (4 if gone > 0.2 * (len(lines) - 1) else 1)


def test_a_good_day_passes_whole_with_the_values_of_its_lines(spark, month, tmp_path):
    judge(spark, month[0], tmp_path / "out")
    (record,) = records(tmp_path / "out", "flights", "2013-01-01")
    lines = list(csv.DictReader(month[0].read_text(encoding="utf-8").splitlines()))
    wanted = Counter(
        tuple(
            (name, whole(text) if name in INTEGERS else None if text == "NA" else text) for name, text in line.items()
        )
        for line in lines
    )
    found = rows(tmp_path / "out", record, "passed")
    for row in found:
        row["time_hour"] = row["time_hour"].strftime("%Y-%m-%dT%H:%M:%SZ")
    assert Counter(tuple(row.items()) for row in found) == wanted
    assert record["quarantine"] == []


def files_of(root: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.stat().st_mtime_ns, path.stat().st_size) for path in root.rglob("*") if path.is_file()}


@pytest.mark.slow
@pytest.mark.full("31")
@pytest.mark.parametrize("days", (5, 31))
def test_day_after_day_conserves_every_row_and_a_second_run_of_each_changes_nothing(spark, month, tmp_path, days):
    root, month = tmp_path / "out", month[:days]
    runs = {}
    for day in month:
        result = judge(spark, day, root, day.stem)
        runs[day.stem] = result.data["run"]
        (record,) = records(root, "flights", day.stem)
        lines = len(day.read_text(encoding="utf-8").splitlines()) - 1
        sides = [len(rows(root, record, side)) for side in ("passed", "quarantine")]
        assert sum(sides) == lines
        assert (record["rows"]["passed"], record["rows"]["quarantined"]) == tuple(sides)
        assert result.data["rows"]["input"] == lines
    history = pd.read_parquet(root / "history" / "runs")
    assert sorted(history["batch"]) == sorted(day.stem for day in month)
    assert dict(zip(history["batch"], history["run"], strict=True)) == runs
    assert history["rows_input"].sum() == sum(len(day.read_text().splitlines()) - 1 for day in month)
    before = files_of(root)
    for day in month:
        again = judge(spark, day, root, day.stem)
        assert (again.unchanged, again.data["run"]) == (True, runs[day.stem])
    assert files_of(root) == before


# the rule language by example


def test_the_language_by_example_judges_a_real_day_as_pandas_does(spark, month, tmp_path):
    day = month[9]
    reference = day.parents[2] / "reference"
    places = {"incoming": str(day.parents[1]), "reference": str(reference)}
    rules = RULES.with_name("flights_in_full.yml")
    result = run(rules, day.stem, variables=places, root=str(tmp_path / "root"), spark=spark)
    of = {rule["id"]: rule for rule in result.data["rules"]}
    assert not [rule for rule in of.values() if rule["status"] == "error"]
    frame = pd.read_csv(day)
    planes, airports = (
        set(pd.read_csv(reference / f"{n}.csv")[c]) for n, c in (("planes", "tailnum"), ("airports", "faa"))
    )
    assert of["tailnum.exists_in"]["failed_rows"] == (frame.tailnum.notna() & ~frame.tailnum.isin(planes)).sum() > 0
    assert of["dest.exists_in"]["failed_rows"] == (~frame.dest.isin(airports)).sum() > 0
    late = frame.groupby("origin").dep_delay.mean()
    assert of["dep_delay.mean"]["group_counts"]["all"] == len(late) == 3
    assert of["dep_delay.mean"]["status"] == ("passed" if late.between(-10, 120).all() else "failed")
    booked = ((frame.dep_time < frame.sched_dep_time - 100) & (frame.dep_delay > 0)).sum()
    assert of["early-departures-booked-late"]["metric"]["value"] == booked
    assert of["short-hops-from-jfk"]["failed_rows"] == ((frame.origin == "JFK") & (frame.distance > 2600)).sum()
    # seven days are to be looked back at
    assert of["volume-as-usual"]["status"] == "not_applicable"
