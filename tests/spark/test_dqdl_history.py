"""Bounds of earlier batches in every rule form of DQDL that takes them, alone and in composites, against plain Python over the
values that the batches had."""

from __future__ import annotations

import statistics
from itertools import cycle
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import quality
from quality.rulefile.dqdl.signatures import TYPES

#: Every form with a history, less its condition. That of ColumnDataType is in its threshold, which other rules about rows take too.
FORMS = {
    "ColumnCorrelation": '"id" "pay"',
    "ColumnCount": "",
    "Completeness": '"code"',
    "CustomSql": '"select sum(pay) from primary where id > 0"',
    "DatasetMatch": '"twin" "id" "id"',
    "DistinctValuesCount": '"code"',
    "DuplicateRowCount": '"code"',
    "Entropy": '"code"',
    "InterquartileRange": '"pay"',
    "Kurtosis": '"pay"',
    "Mean": '"pay"',
    "Range": '"pay"',
    "ReferentialIntegrity": '"id,code" "twin.{id,code}"',
    "RowCount": "",
    "RowCountMatch": '"twin"',
    "SchemaMatch": '"twin"',
    "Skewness": '"pay"',
    "StandardDeviation": '"pay"',
    "Sum": '"pay"',
    "UniqueValueRatio": '"code"',
    "Uniqueness": '"code" "id"',
    "Variance": '"pay"',
    "ZerosCount": '"pay"',
}
SHARES = {
    "ColumnDataType": '"text" = "Integer" with threshold',
    "ColumnDataType in": '"text" in ["Integer", "Date"] with threshold',
    "ColumnValues": '"pay" > 1 with threshold',
    "ColumnValues in": '"code" in ["a", NULL] where "id > 0" with threshold',
    "ColumnValues matches": '"code" not matches "[ab]" with threshold',
    "ColumnDataType format": '"text" = "Date" with format = "yyyy-MM-dd" with threshold',
    "ColumnValues clock": '"text" < (now() - 1 day) with threshold',
    "ColumnLength": '"text" between 1 and 4 with threshold',
}
#: Conditions with whether a value holds beside those of the two batches before, the newest first.
CONDITIONS: dict[str, Any] = {
    ">= 0.9 * avg(last(2))": lambda v, p: v >= 0.9 * statistics.fmean(p),
    "between min(last(2)) - 0.001 and max(last(2)) + 0.001": lambda v, p: min(p) - 0.001 < v < max(p) + 0.001,
    "not between min(last(2)) and max(last(2))": lambda v, p: v <= min(p) or v >= max(p),
    "in [index(last(2), 0), index(last(2), 1)]": lambda v, p: v in p,
    "not in [index(last(2), 1), sum(last(2))]": lambda v, p: v not in (p[1], sum(p)),
    "<= abs(median(last(2)) - 2 * std(last(2))) + 0.1": lambda v, p: v <= abs(statistics.median(p) - 2 * statistics.pstdev(p)) + 0.1,
}  # fmt: skip
#: Forms that are asked with every condition; others with one, since many take a pass over the batch for every rule, and with --full with all.
ALL_CONDITIONS = ("RowCount", "ColumnCount", "Completeness", "Sum")


def asked(full):
    """The rules, each with its form and its condition."""
    found, turn = [], cycle(CONDITIONS)
    for form, names in {**FORMS, **SHARES}.items():
        chosen = list(CONDITIONS) if full or form in ALL_CONDITIONS else [next(turn)]
        found += [(f"{form.split()[0]} {names} {condition}", form, condition) for condition in chosen]
    return found


#: Composites of what earlier batches say, with the same by the numbers of rows.
COMPOSITES: dict[str, Any] = {
    "(RowCount > sum(last(2))) or (RowCount in [last(), max(last(2))])": lambda n, p: n > sum(p) or n in (p[0], max(p)),
    '(RowCount > sum(last(2))) or ((IsComplete "id") and (RowCount != last()))': lambda n, p: n > sum(p) or n != p[0],
}
#: Rows of three batches: (id, code, pay, text).
BATCHES: dict[str, list[tuple[Any, ...]]] = {
    "1": [(0, "a", 0.0, "12"), (1, "b", 2.5, "x"), (2, None, 4.0, None), (3, "c", 1.5, "2024-01-05")],
    "2": [(0, "a", 1.0, "3"), (1, "a", 0.0, "4"), (2, "b", 2.0, "y"), (3, "c", 9.0, "77"), (4, "a", 0.0, "7.5")],
    "3": [(0, "b", 2.0, "5"), (1, "b", 3.0, "six"), (2, "a", 2.0, "8"), (5, "d", 0.0, "2024-02-30"), (6, None, 0.5, "9")],
}  # fmt: skip
NAMES = ("id", "code", "pay", "text")


def expected_shares(rows):
    """The naive share of rows that comply, by the names of SHARES."""
    texts = [(row[3], row[3] is not None and row[3].isdigit()) for row in rows]
    scope = [row for row in rows if row[0] > 0]
    return {
        "ColumnDataType": sum(whole for _, whole in texts) / len(rows),
        "ColumnDataType in": sum(whole or text == "2024-01-05" for text, whole in texts) / len(rows),
        "ColumnValues": sum(row[2] > 1 for row in rows) / len(rows),
        "ColumnValues in": sum(row[1] in ("a", None) for row in scope) / len(scope),
        "ColumnValues matches": sum(row[1] is not None and row[1] not in "ab" for row in rows) / len(rows),
        "ColumnDataType format": sum(text == "2024-01-05" for text, _ in texts) / len(rows),
        "ColumnValues clock": sum(text == "2024-01-05" for text, _ in texts) / len(rows),
        "ColumnLength": sum(1 < len(row[3] or "") < 4 for row in rows) / len(rows),
    }


@pytest.fixture(scope="module")
def ran(spark, tmp_path_factory, request):
    """The rules by line, the results of the three batches, and that of the first alone where what is not there is 0."""
    rules = asked(request.config.getoption("--full"))
    folder = tmp_path_factory.mktemp("past")
    for batch, rows in BATCHES.items():
        pq.write_table(
            pa.Table.from_pylist([dict(zip(NAMES, r, strict=True)) for r in rows]), folder / f"{batch}.parquet"
        )
    pq.write_table(pa.Table.from_pylist([{"id": r[0], "code": r[1]} for r in BATCHES["2"]]), folder / "twin.parquet")
    text = ",\n".join([text for text, *_ in rules] + [*COMPOSITES])
    found = []
    for name, head, batches in (("asked", "", BATCHES), ("zero", 'Metadata = { "min_history": "0" } ', ["1"])):
        (folder / f"{name}.dqdl").write_text(f"{head}Rules = [\n{text}\n]")
        # a batch that fails is held, and in no history
        beside = folder / f"{name}.yml"
        beside.write_text(f"version: 1\nextends: {name}.dqdl\ndataset: {name}\ndefaults: {{severity: warning}}\n")
        given: Any = {"root": str(folder / "out"), "input": f"{folder}/{{{{ batch }}}}.parquet", "spark": spark}
        references = {"twin": str(folder / "twin.parquet")}
        found.append([by_line(quality.run(beside, batch, references=references, **given)) for batch in batches])
    return dict(enumerate(rules, 2)), *found


def by_line(result):
    """Statuses of what a line demands, and the value of its metric."""
    assert result.data["decision"] == "published", result.data["status"]
    found: dict[int, tuple[set[str], set[float]]] = {}
    for rule in result.data["rules"]:
        statuses, measured = found.setdefault(int(rule["location"].rpartition(":")[2]), (set(), set()))
        statuses |= {rule["status"]} if rule["severity"] == "warning" else set()
        measured |= {rule["metric"]["value"]} if rule["metric"] and rule["metric"]["value"] is not None else set()
    return found


def wanted(holds):
    return {"passed"} if holds else {"failed"}


def test_every_form_with_a_history_is_tried():
    assert FORMS.keys() == {form for form, signature in TYPES.items() if signature.history}
    assert {form.split()[0] for form in SHARES} <= {form for form, one in TYPES.items() if "threshold" in one.tags}


def test_bounds_are_those_of_the_batches_before(ran):
    lines, (first, second, third), _ = ran
    said: dict[str, set[bool]] = {condition: set() for condition in CONDITIONS}
    for line, (text, _, condition) in lines.items():
        # the number of columns is no metric of a past that is too short
        (value,), past = third[line][1], [next(iter(one[line][1])) for one in (second, first)]
        holds = CONDITIONS[condition](value, past)
        statuses = {"failed"} if "failed" in third[line][0] and not holds else third[line][0]
        assert statuses == wanted(holds), (text, value, past)
        said[condition].add(holds)
    assert all(found == {True, False} for found in said.values())


def test_a_past_that_is_too_short_decides_nothing(ran):
    lines, (first, second, _), _ = ran
    for line, (text, *_) in lines.items():
        assert (first[line][0], second[line][0]) == ({"not_applicable"}, {"not_applicable"}), text


def test_shares_are_those_of_the_rows(ran):
    lines, runs, _ = ran
    for run, rows in zip(runs, BATCHES.values(), strict=True):
        naive = expected_shares(rows)
        found = {form: run[line][1] for line, (_, form, _) in lines.items() if form in naive}
        assert {form: pytest.approx(value) for form, (value,) in found.items()} == naive


def test_composites_take_what_can_be_told(ran):
    lines, (_, second, third), _ = ran
    sizes = [len(rows) for rows in BATCHES.values()]
    for line, (text, holds) in enumerate(COMPOSITES.items(), 2 + len(lines)):
        assert third[line][0] == wanted(holds(sizes[2], sizes[1::-1])), text
    # of two batches the last is known; what needs more is left out
    assert second[2 + len(lines) + 1][0] == wanted(sizes[1] != sizes[0])


def test_what_is_not_there_is_0_where_that_is_asked_for(ran):
    lines, _, (alone,) = ran
    for line, (text, _, condition) in lines.items():
        (value,) = alone[line][1]
        holds = CONDITIONS[condition](value, [0.0, 0.0])
        statuses = {"failed"} if "failed" in alone[line][0] and not holds else alone[line][0]
        assert statuses == wanted(holds), (text, value)
    for line, holds in enumerate(COMPOSITES.values(), 2 + len(lines)):
        assert alone[line][0] == wanted(holds(len(BATCHES["1"]), [0, 0]))
