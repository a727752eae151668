"""Checks of SodaCL mean in a rule file what they mean to Soda: rows counted by plain Python, thresholds on either side."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from quality import run
from quality.rulefile.dqdl.convert import convert_file

VALUES = ["ab", "ab", "c", "n/a", None, None, "", "x1", "x2", "longer", "9", "AB"]
NUMBERS = [1, 2, 2, 5, None, -1, 7, 8, 9, 100, 0, None]
CONFIGS: dict[str, tuple[Callable[[str], bool], Callable[[str], bool] | None]] = {
    "": (lambda _: False, None),
    "{valid values: [ab, c], missing values: [n/a]}": (lambda v: v == "n/a", lambda v: v in ("ab", "c")),
    "{valid regex: '^x[0-9]$'}": (lambda _: False, lambda v: v[:1] == "x" and v[1:].isdigit() and len(v) == 2),
    "{invalid values: [ab], valid max length: 3}": (lambda _: False, lambda v: v != "ab" and len(v) <= 3),
    "{valid format: positive integer}": (lambda _: False, str.isdigit),
    "{missing regex: '^x', invalid regex: b}": (lambda v: v[:1] == "x", lambda v: "b" not in v),
}


def soda(metric, config):
    """A metric as Soda's documentation defines it."""
    is_missing, is_valid = CONFIGS[config]
    missing = [v for v in VALUES if v is None or is_missing(v)]
    there = [v for v in VALUES if v is not None and not is_missing(v)]
    kind, _, unit = metric.partition("_")
    if is_valid is None or kind == "missing":
        count = len(missing)
    else:
        valid = sum(is_valid(v) for v in there)
        count = valid if kind == "valid" else len(there) - valid
    return count * 100 / len(VALUES) if unit == "percent" else count


def cases():
    for config, (_, is_valid) in CONFIGS.items():
        for metric in (
            "missing_count",
            "missing_percent",
            *(("invalid_count", "invalid_percent", "valid_count") if is_valid else ()),
        ):
            value = soda(metric, config)
            step = 0.25 if "percent" in metric else 1
            yield metric, config, "<=", value, True
            yield metric, config, "<=", max(value - step, 0), value <= max(value - step, 0)
            if metric == "valid_count":
                yield metric, config, ">=", value, True
                yield metric, config, ">", value, False


#: Other checks, with whether they hold.
NUMERIC = {
    "avg(n) = 13.3": True,
    "avg(n) < 13.3": False,
    "avg(n) = 4.25: {valid max: 50, missing values: [-1, 0, 2]}": False,
    "avg(n) = 6: {valid max: 50, missing values: [-1, 0, 2]}": True,
    "avg(n) between 5.33 and 5.34: {valid min: 1, valid max: 50}": False,
    "avg(n) between 4.85 and 4.86: {valid min: 1, valid max: 50}": True,
    "sum(n) = 133": True,
    "max(n) < 100": False,
    "min(n) > -2": True,
    "duplicate_count(n) = 0": False,
    "duplicate_count(n) = 0: {filter: n > 2}": True,
    "distinct_count(n) = 9": True,
    "row_count between (12 and 13)": False,
    "row_count between [12 and 13)": True,
    "failed rows: {fail condition: n > 8 and v is not null, fail: when > 2}": True,
    "failed rows: {fail condition: n > 8 and v is not null}": False,
    "percentile(n, 0.5) <= 2": True,
    "stddev_pop(n) between 29.0 and 29.1": True,
}  # fmt: skip


def text_of(cases):
    lines = []
    for n, (metric, config, sign, threshold, _) in enumerate(cases):
        lines.append(f"  - {metric}(v) {sign} {threshold}: {{name: case {n}{', ' if config else ''}{config[1:-1]}}}\n")
    for check in NUMERIC:
        head, _, config = check.partition(": ")
        lines.append(f"  - {head}: {{name: {json.dumps(check)}{', ' if config else ''}{config[1:-1]}}}\n")
    return f"checks for t:\n{''.join(lines)}"


@pytest.mark.full
def test_checks_pass_and_fail_as_for_soda(quick, tmp_path):
    wanted = list(dict.fromkeys(cases()))
    (tmp_path / "checks.yml").write_text(text_of(wanted), encoding="utf-8")
    frame = quick.createDataFrame(list(zip(VALUES, NUMBERS, strict=True)), "v string, n int")
    frame.coalesce(1).write.parquet(str(tmp_path / "in.parquet"))
    made = convert_file(tmp_path / "checks.yml", input_path=str(tmp_path / "in.parquet"), root=str(tmp_path / "out"))
    assert made.rules == made.total == len(wanted) + len(NUMERIC)
    (tmp_path / "t.yml").write_text(made.text, encoding="utf-8")
    result = run(tmp_path / "t.yml", "b", spark=quick, engine="spark")
    found = {rule["name"]: rule["status"] for rule in result.data["rules"]}
    expected = {f"case {n}": case[-1] for n, case in enumerate(wanted)} | NUMERIC
    assert found.keys() == expected.keys()
    said = {name: (status, wanted[int(name[5:])] if name.startswith("case ") else "") for name, status in found.items()}
    assert {n: said[n] for n, holds in expected.items() if found[n] != ("passed" if holds else "failed")} == {}
