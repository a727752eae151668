"""All rule forms and analyzers of DQDL in one run: for every form rules that hold and rules that do not, against AWS's meaning
in plain Python. What is refused stands in REFUSED with its reason: nothing may be missing from both."""

from __future__ import annotations

import hashlib
import math
import os
import statistics
from collections import Counter
from datetime import datetime, timedelta, timezone
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import quality
from quality.errors import RuleFileError
from quality.rulefile import load
from quality.rulefile.dqdl import parse
from quality.rulefile.dqdl.printer import format_rule
from quality.rulefile.dqdl.signatures import ANALYZERS, TYPES
from quality.rulefile.dqdl.to_dqdl import to_dqdl
from quality.rulefile.dqdl.tree import Composite

NOW = datetime.now(timezone.utc)
AGES = [18, 19, None, 64, 65, 40, 30, 22, 70, 22]
CODES = ["abc", "abcdef", "", None, "x" * 9, "ab", "abcdefg", "c", "d", "d"]
KINDS = ["1", "2", "x", None, "2024-01-05", "3", "4", "5", "6", "01/05/2024"]
BLANKS = [" ", "\t\n", "", None, "a b", " x", "  ", "", "y", None]
ROWS: list[dict[str, Any]] = [
    {
        "id": n,
        "age": AGES[n],
        "code": CODES[n],
        "kind": KINDS[n],
        "blank": BLANKS[n],
        "country": "SE" if n % 2 else "NO",
        "pay": n - 1.5 if n else 0.0,
        "at": NOW - timedelta(hours=5 * n, minutes=1),
        "nine": datetime(2024, 1, 1 + n, 8, 50, tzinfo=timezone.utc) + timedelta(minutes=n),
    }
    for n in range(10)
]
BLANK = sum(text is not None and text != "" and not text.strip() for text in BLANKS)
PAY = [row["pay"] for row in ROWS]
MEAN = statistics.fmean(PAY)
COUNTS = Counter(row["code"] for row in ROWS if row["code"] is not None)
PRESENT = sum(COUNTS.values())
KNOWN = [age for age in AGES if age is not None]


def moment(power):
    return statistics.fmean((value - MEAN) ** power for value in PAY)


def pearson(left, right):
    a, b = statistics.fmean(left), statistics.fmean(right)
    cross = sum((x - a) * (y - b) for x, y in zip(left, right, strict=True))
    return cross / math.sqrt(sum((x - a) ** 2 for x in left) * sum((y - b) ** 2 for y in right))


def quartiles():
    cuts = statistics.quantiles(PAY, n=4, method="inclusive")
    return cuts[2] - cuts[0]


CORRELATION = pearson(range(10), PAY)
VARIANCE, SKEWNESS, KURTOSIS = moment(2), moment(3) / moment(2) ** 1.5, moment(4) / moment(2) ** 2 - 3
ONCE = sum(count == 1 for count in COUNTS.values())
ENTROPY = -sum(count / PRESENT * math.log(count / PRESENT) for count in COUNTS.values())
UNIQUENESS, RATIO = ONCE / PRESENT, ONCE / len(COUNTS)


#: What the reference has: keys of two columns.
KNOWN_KEYS = [("SE", 1), ("SE", 3), ("DK", 5)]
CODED = {code for code, _ in KNOWN_KEYS}

#: A reference with most of the rows, one of them with another pay.
TWIN = [{"number": row["id"], "pay": row["pay"] + (row["id"] == 3), "country": row["country"]} for row in ROWS[:8]]
SAME = sum(row["pay"] == twin["pay"] for row, twin in zip(ROWS, TWIN, strict=False))
QUOTIENT = sum(PAY) / sum(row["pay"] for row in TWIN)


#: Rows whose number the other has.
IN_TWIN = sum(row["id"] in {twin["number"] for twin in TWIN} for row in ROWS)
#: The share of rows that are older than 30: NULL is not.
OVER_30 = sum(age is not None and age > 30 for age in AGES) / 10
#: The share of rows whose country the reference knows.
IN_KNOWN = sum(row["country"] in CODED for row in ROWS) / 10


def every(test):
    """Whether every row complies."""
    return all(map(test, ROWS))


def old(row):
    return NOW - row["at"]


#: For every form rules with whether they hold. {place} is a directory with two files that are the same, and a third.
CASES: dict[str, list[tuple[str, bool]]] = {
    "AggregateMatch": [
        (f'"sum(pay)" "sum(twin.pay)" between {QUOTIENT - 0.01} and {QUOTIENT + 0.01}', True),
        ('"avg(pay)" "avg(twin.pay)" = 1', statistics.fmean(row["pay"] for row in TWIN) == MEAN),
        ('"sum(pay)" "sum(id)" < 1', sum(PAY) / 45 < 1),
        ('"avg(pay)" "avg(id)" < 1', statistics.fmean(PAY) / 4.5 < 1),
        ('"sum(pay)" "avg(id)" between 6 and 7', 6 < sum(PAY) / 4.5 < 7),
        (f'"sum(pay)" "sum(twin.pay)" not between {QUOTIENT - 0.01} and {QUOTIENT + 0.01}', False),
    ],
    # both ends of between are left out, those of not between are in it
    "ColumnCorrelation": [
        (f'"id" "pay" between {CORRELATION - 0.01} and {CORRELATION + 0.01}', True),
        ('"id" "pay" < 0', CORRELATION < 0),
    ],
    "ColumnCount": [(f"= {len(ROWS[0])}", True), ("in [1, 2]", False), (f"in [1, {len(ROWS[0])}]", True)],
    "ColumnDataType": [
        ('"kind" = "Integer" with threshold > 0.5', sum((k or "").isdigit() for k in KINDS) > 5),
        ('"kind" = "Integer"', False),
        ('"kind" in ["Integer", "Date"] with threshold >= 0.7', True),
        ('"kind" != "Integer" with threshold > 0.5', sum(not (k or "").isdigit() for k in KINDS) > 5),
        ('"kind" = "Date" with format = "MM/dd/yyyy" with threshold >= 0.1', True),
        ('"kind" = "Date" with format = "MM/dd/yyyy" with threshold > 0.1', False),
    ],
    "ColumnExists": [('"age"', True), ('"agee"', False)],
    "ColumnLength": [
        ('"code" between -1 and 10', every(lambda r: -1 < len(r["code"] or "") < 10)),
        ('"code" < 9', every(lambda r: len(r["code"] or "") < 9)),
        ('"code" in [0, 1, 2, 3, 6, 7, 9]', True),
        ('"country" not between 0 and 1', every(lambda r: not 0 <= len(r["country"]) <= 1)),
    ],
    "ColumnNamesMatchPattern": [('"[a-z]+"', True), ('"[a-d]+"', False)],
    "ColumnValues": [
        ('"pay" > -1', every(lambda r: r["pay"] > -1)),
        ('"age" between 17 and 71', every(lambda r: r["age"] is not None and 17 < r["age"] < 71)),
        ('"age" between 17 and 71 with threshold >= 0.9', True),
        ('"country" in ["se", "no"] with ignoreCase = "true"', True),
        ('"country" in ["se", "no"]', False),
        ('"code" not in ["q", "r"]', every(lambda r: r["code"] not in ("q", "r"))),
        ('"code" != NULL', every(lambda r: r["code"] is not None)),
        ('"country" matches "S|NO|SE"', True),
        ('"country" not matches "S."', False),
        ('"at" > (now() - 3 days)', every(lambda r: old(r) < timedelta(days=3))),
        ('"at" > (now() - 40 hours)', every(lambda r: old(r) < timedelta(hours=40))),
        ('"nine" between "8:49 AM" and "9:00"', every(lambda r: "08:49" < f"{r['nine']:%H:%M:%S}" < "09:00")),
        ('"nine" < "8:55 AM"', every(lambda r: f"{r['nine']:%H:%M}" < "08:55")),
        ('"age" > 18 where "age > 18"', True),
        ('"age" between 18 and 71 with threshold >= 0.9', sum(18 < age < 71 for age in KNOWN) / 10 >= 0.9),
        ('"age" between 18 and 71 with threshold >= 0.8', sum(18 < age < 71 for age in KNOWN) / 10 >= 0.8),
        ('"age" between 17 and 70 with threshold >= 0.9', sum(17 < age < 70 for age in KNOWN) / 10 >= 0.9),
        ('"age" not between 18 and 70 with threshold >= 0.2', sum(not 18 < age < 70 for age in KNOWN) / 10 >= 0.2),
        ('"age" not between 18 and 70 with threshold >= 0.3', sum(not 18 < age < 70 for age in KNOWN) / 10 >= 0.3),
        ('"code" = EMPTY with threshold >= 0.1', CODES.count("") / 10 >= 0.1),
        ('"code" = EMPTY with threshold > 0.1', CODES.count("") / 10 > 0.1),
        ('"code" = NULL with threshold >= 0.1', CODES.count(None) / 10 >= 0.1),
        ('"code" in [NULL, EMPTY] with threshold >= 0.2', (CODES.count(None) + CODES.count("")) / 10 >= 0.2),
        ('"code" in [NULL, EMPTY] with threshold > 0.2', (CODES.count(None) + CODES.count("")) / 10 > 0.2),
        ('"code" not in [NULL, EMPTY] with threshold >= 0.8', (CODES.count(None) + CODES.count("")) / 10 <= 0.2),
        ('"code" != EMPTY with threshold >= 0.9', (10 - CODES.count("")) / 10 >= 0.9),
        ('"code" != EMPTY', "" not in CODES),
        ('"blank" = WHITESPACES_ONLY with threshold >= 0.3', BLANK / 10 >= 0.3),
        ('"blank" = WHITESPACES_ONLY with threshold > 0.3', BLANK / 10 > 0.3),
        ('"blank" != WHITESPACES_ONLY with threshold >= 0.7', (10 - BLANK) / 10 >= 0.7),
        (
            '"blank" in [WHITESPACES_ONLY, EMPTY, NULL] with threshold >= 0.6',
            (BLANK + BLANKS.count("") + BLANKS.count(None)) / 10 >= 0.6,
        ),
        ('"blank" in [WHITESPACES_ONLY, EMPTY, NULL]', False),
        ('"age" > 30 with threshold < 0.5', OVER_30 < 0.5),
        ('"age" > 30 with threshold <= 0.5', OVER_30 <= 0.5),
        ('"age" > 30 with threshold between 0.3 and 0.45', 0.3 < OVER_30 < 0.45),
        ('"age" > 30 with threshold not between 0.3 and 0.45', not 0.3 <= OVER_30 <= 0.45),
        ('"age" > 30 with threshold in [0.4, 0.9]', OVER_30 in (0.4, 0.9)),
        ('"age" > 30 with threshold != 0.4', OVER_30 != 0.4),
    ],
    "Completeness": [('"age" > 0.89', len(KNOWN) / 10 > 0.89), ('of "age" = 1', False)],
    "CustomSql": [
        ('"select count(*) from primary where age < 30" between 0 and 9', 0 < sum(age < 30 for age in KNOWN) < 9),
        ('"select sum(pay) from primary" > 100', sum(PAY) > 100),
        ('"select max(id) - min(id) from primary" in [1, 9]', True),
        ('"select id from primary where pay > -1"', every(lambda r: r["pay"] > -1)),
        ('"select p.id from primary p where p.age < 30"', every(lambda r: r["age"] is not None and r["age"] < 30)),
        ('"select id from primary where age < 30" with threshold > 0.1', sum(age < 30 for age in KNOWN) / 10 > 0.1),
        ('"select id from primary where id in (select number from twin)" with threshold > 0.3', IN_TWIN / 10 > 0.3),
        ('"select id from primary where id in (select number from twin)"', IN_TWIN == 10),
        ('"select count(*) from primary p join twin t on p.id = t.number" > 3', IN_TWIN > 3),
    ],
    "DataFreshness": [
        ('"at" <= 48 hours', every(lambda r: old(r) <= timedelta(hours=48))),
        ('"at" <= 24 hours', every(lambda r: old(r) <= timedelta(hours=24))),
        ('"at" between 0 minutes and 3 days', True),
    ],
    "DatasetMatch": [
        ('"twin" "id->number" "pay->pay" between 0.69 and 0.71', 0.69 < SAME / 10 < 0.71),
        ('"twin" "id->number" "pay->pay" > 0.75', SAME / 10 > 0.75),
        ('"twin" "id->number" >= 0.7', SAME / 10 >= 0.7),
        ('"twin" "id->number" "pay->pay,country->country" in [0.7, 1]', SAME / 10 in (0.7, 1)),
        ('"twin" "id->number,country" >= 0.9', SAME / 10 >= 0.9),
    ],
    "DistinctValuesCount": [(f'"code" = {len(COUNTS)}', True), ('"code" not between 1 and 100', False)],
    "DuplicateRowCount": [("= 0", True), ('"country" = 0', False)],
    "Entropy": [
        (f'"code" between {ENTROPY - 0.01} and {ENTROPY + 0.01}', True),
        ('"code" > 3', ENTROPY > 3),
    ],
    "FileFreshness": [
        ('"{place}" > (now() - 24 hours)', True),
        ('"{place}" < "2020-01-01"', False),
        ('"{place}" > (now() - 30 minutes) with threshold > 0.6', True),
        ('"{place}" > (now() - 30 minutes)', False),
        ("> (now() - 1 hours)", True),
        ('"{place}" > (now() - 30 minutes) with uriRegex = "\\.csv$" with recentFiles = 2', True),
    ],
    "FileMatch": [
        ('"{place}/one.csv" "{place}/two.csv"', True),
        ('"{place}/one.csv" "{place}/three.txt"', False),
        ('"{place}/one.csv" "{place}/two.csv" with matchFileName = "true"', False),
        ('"{place}/one.csv" in ["{md5}"] with hashAlgorithm = "MD5"', True),
        ('in ["{md5}"]', False),
    ],
    "FileSize": [
        ('"{place}" between 1 B and 1 KB', True),
        ('"{place}" < 5 B', False),
        ('"{place}" < 5 B with threshold > 0.3', True),
        ('"{place}" < 5 B with threshold < 0.3', False),
        ("< 1 MB", True),
        ('"{place}" in [2 B, 6 B]', True),
        ('"{place}" in [2 B, 5 B]', False),
        ('"{place}" not in [2 B, 5 B] with threshold > 0.6', True),
        ('"{place}" not between 2 B and 6 B', True),
        ('"{place}" not between 1 B and 3 B', False),
    ],
    "FileUniqueness": [
        ('"{place}" not between 0.3 and 0.4', False),
        ('"{place}" in [0.5, 1]', False),
        ('"{place}" > 0.3', 1 / 3 > 0.3),
        ('"{place}" = 1', False),
        ("= 1", True),
    ],
    "InterquartileRange": [
        (f'"pay" between {quartiles() - 0.01} and {quartiles() + 0.01}', True),
        ('"pay" > 100', quartiles() > 100),
    ],
    "IsComplete": [('"id"', True), ('"age"', False), ('"age" where "age > 0"', True)],
    "IsPrimaryKey": [('"id"', True), ('"age" "country"', False)],
    "IsUnique": [('"id"', True), ('"country"', False), ('"id" "country"', True)],
    "Kurtosis": [(f'"pay" between {KURTOSIS - 0.01} and {KURTOSIS + 0.01}', True), ('"pay" > 9', KURTOSIS > 9)],
    "Mean": [(f'"pay" between {MEAN - 0.01} and {MEAN + 0.01}', True), ('"pay" in [70, 80]', False)],
    "Range": [(f'"pay" = {max(PAY) - min(PAY)}', True), ('"pay" < 1', max(PAY) - min(PAY) < 1)],
    "ReferentialIntegrity": [
        ('"country" "known.code" = 1.0', every(lambda r: r["country"] in CODED)),
        ('"country" "known.code" >= 0.5', sum(r["country"] in CODED for r in ROWS) / 10 >= 0.5),
        ('"country" "known.code" > 0.5', sum(r["country"] in CODED for r in ROWS) / 10 > 0.5),
        ('"country,id" "known.{code,number}" >= 0.2', True),
        ('"country" "known.code" between 0.4 and 0.6', 0.4 < IN_KNOWN < 0.6),
        ('"country" "known.code" not between 0.4 and 0.6', not 0.4 <= IN_KNOWN <= 0.6),
        ('"country" "known.code" < 0.5', IN_KNOWN < 0.5),
        ('"country" "known.code" <= 0.5', IN_KNOWN <= 0.5),
        ('"country" "known.code" != 0.5', IN_KNOWN != 0.5),
        ('"country" "known.code" in [0.2, 0.5]', IN_KNOWN in (0.2, 0.5)),
        ('"country" "known.code" not in [0.2, 0.5]', IN_KNOWN not in (0.2, 0.5)),
        ('"age" "known.number" >= 0.1', any(age in (1, 3) for age in AGES)),
    ],
    "RowCount": [
        ("= 10", True),
        ("> 10", False),
        ("= 5 where \"country = 'SE'\"", True),
        ("not between 5 and 15", False),
        ("between 9 and 10", 9 < len(ROWS) < 10),
        ("between 10 and 11", 10 < len(ROWS) < 11),
        ("between 9 and 11", 9 < len(ROWS) < 11),
        ("not between 10 and 15", not 10 < len(ROWS) < 15),
        ("not between 5 and 10", not 5 < len(ROWS) < 10),
        ("not in [9, 10]", len(ROWS) not in (9, 10)),
        ("!= 11", len(ROWS) != 11),
        ("> 2 * (3 + 1.5) - -0.5", len(ROWS) > 2 * (3 + 1.5) + 0.5),
    ],
    "RowCountMatch": [('"twin" = 1.25', len(ROWS) / len(TWIN) == 1.25), ('"twin" <= 1', len(ROWS) <= len(TWIN))],
    # of ten columns on either side two are on both
    "SchemaMatch": [('"twin" between 0.19 and 0.21', 0.19 < 2 / 10 < 0.21), ('"twin" > 0.5', 2 / 10 > 0.5)],
    "Skewness": [(f'"pay" between {SKEWNESS - 0.01} and {SKEWNESS + 0.01}', True), ('"pay" > 5', SKEWNESS > 5)],
    "StandardDeviation": [
        (f'"pay" between {math.sqrt(VARIANCE) - 0.01} and {math.sqrt(VARIANCE) + 0.01}', True),
        ('"pay" < 0.1', False),
    ],
    "Sum": [(f'"pay" = {sum(PAY)}', True), ('"pay" != {0}'.replace("{0}", str(sum(PAY))), False)],
    "UniqueValueRatio": [(f'"code" between {RATIO - 0.01} and {RATIO + 0.01}', True), ('"code" = 1', RATIO == 1)],
    "Uniqueness": [
        (f'"code" between {UNIQUENESS - 0.01} and {UNIQUENESS + 0.01}', True),
        ('"country" > 0', False),
        ('"id" "country" = 1', True),
    ],
    "Variance": [(f'"pay" between {VARIANCE - 0.01} and {VARIANCE + 0.01}', True), ('"pay" > 100', VARIANCE > 100)],
    "ZerosCount": [('"pay" = 1', PAY.count(0) == 1), ('"pay" > 1', PAY.count(0) > 1)],
}
#: What cannot be judged, with the reason that is told.
REFUSED = {
    'CustomSql "select id from elsewhere"': "the query reads 'elsewhere', which is neither the batch nor a reference",
    'CustomSql "drop table primary"': "a query begins with SELECT or WITH",
}
#: Becomes the section `anomalies:`, which takes a history: test_verdicts.py has its form, test_anomalies.py what it finds.
ELSEWHERE = {"DetectAnomalies"}
COMPOSITES = [
    ('(RowCount = 10) and (IsComplete "id")', True),
    ('(RowCount > 10) or (IsComplete "id")', True),
    ('(RowCount > 10) or ((IsComplete "age") or (IsUnique "country"))', False),
    ('((RowCount > 10) or (IsUnique "id")) and (Mean "pay" > 100)', False),
    ('(RowCount > 10) or ((IsUnique "id") and (FileSize < 1 MB))', True),
]  # fmt: skip
#: Analyzers with the metrics they leave: (name, instance): value. The instance of a query is the id it is given.
MEASURED: dict[str, dict[tuple[str, str], Any]] = {
    "RowCount": {("Size", "*"): 10},
    "ColumnCount": {("ColumnCount", "*"): len(ROWS[0])},
    'Completeness "age"': {("Completeness", "age"): 0.9},
    'Uniqueness "code"': {("Uniqueness", "code"): UNIQUENESS},
    'Mean "pay"': {("Mean", "pay"): MEAN},
    'Sum "pay"': {("Sum", "pay"): sum(PAY)},
    'StandardDeviation "pay"': {("StandardDeviation", "pay"): math.sqrt(VARIANCE)},
    'Entropy "code"': {("Entropy", "code"): ENTROPY},
    'DistinctValuesCount "code"': {("CountDistinct", "code"): len(COUNTS)},
    'UniqueValueRatio "code"': {("UniqueValueRatio", "code"): RATIO},
    'ColumnLength "code"': {("MinLength", "code"): 0, ("MaxLength", "code"): 9},
    'ColumnValues "age"': {("Minimum", "age"): min(KNOWN), ("Maximum", "age"): max(KNOWN)},
    'ColumnCorrelation "id" "pay"': {("Correlation", "id,pay"): CORRELATION},
    'AllStatistics "age"': {("Mean", "age"): statistics.fmean(KNOWN), ("Uniqueness", "age"): 7 / 9},
    "AllStatistics AllColumns": {("MaxLength", "kind"): 10, ("Completeness", "at"): 1, ("Maximum", "pay"): max(PAY)},
    'CustomSql "select count(distinct country) from primary"': {
        ("CustomSQL", ""): len({row["country"] for row in ROWS}),
    },
    'Distribution "age"': {},
}


@pytest.fixture(scope="module")
def ran(spark, tmp_path_factory):
    """The document, with what each of its lines is: (rule, whether it holds); and the result of its run."""
    folder = tmp_path_factory.mktemp("catalogue")
    place = folder / "files"
    place.mkdir()
    (place / "one.csv").write_bytes(b"1\n2\n3\n")
    (place / "two.csv").write_bytes(b"1\n2\n3\n")
    (place / "three.txt").write_bytes(b"4\n")
    hour_ago = (NOW - timedelta(hours=1)).timestamp()
    os.utime(place / "three.txt", (hour_ago, hour_ago))
    pq.write_table(pa.Table.from_pylist(ROWS), folder / "in.parquet")
    md5 = hashlib.md5(b"1\n2\n3\n").hexdigest()
    asked = [(f"{form} {text}".strip(), holds) for form, cases in CASES.items() for text, holds in cases] + COMPOSITES
    lines = {}
    for number, (rule, holds) in enumerate(asked, 2):
        lines[number] = (rule.replace("{place}", str(place)).replace("{md5}", md5), holds)
    document = folder / "catalogue.dqdl"
    rules = ",\n".join(rule for rule, _ in lines.values())
    document.write_text(f"Rules = [\n{rules}\n]\nAnalyzers = [ {', '.join(MEASURED)} ]\n", encoding="utf-8")
    keys = [{"code": code, "number": number} for code, number in KNOWN_KEYS]
    pq.write_table(pa.Table.from_pylist(keys), folder / "known.parquet")
    pq.write_table(pa.Table.from_pylist(TWIN), folder / "twin.parquet")
    # DQDL names references, and a rule file says where they are
    beside = folder / "catalogue.yml"
    beside.write_text(
        f"version: 1\nextends: catalogue.dqdl\ninput: {{path: {folder / 'in.parquet'}}}\n"
        f"references: {{known: {{path: {folder / 'known.parquet'}}}, twin: {{path: {folder / 'twin.parquet'}}}}}\noutputs: {{root: {folder / 'out'}}}\n"
    )
    result = quality.run(beside, "b", spark=spark)
    return lines, result, beside


def test_no_form_is_missing():
    assert CASES.keys() | ELSEWHERE == TYPES.keys()
    assert {text.partition(" ")[0] for text in MEASURED} == ANALYZERS.keys()


@pytest.mark.parametrize("form", CASES)
def test_every_form_is_tried_both_ways(form):
    assert {holds for _, holds in CASES[form]} == {True, False}


def test_every_rule_holds_when_aws_would_say_so(ran):
    lines, result, _ = ran
    assert wrong(lines, result) == {}


def wrong(lines, result):
    """Rules that were not said what AWS would say of them."""
    statuses: dict[int, set[str]] = {number: set() for number in lines}
    for rule in result.data["rules"]:
        number = int(rule["location"].rpartition(":")[2])
        # parts of a composite decide nothing
        if rule["severity"] == "error":
            statuses[number].add(rule["status"])
    found = {rule: statuses[number] for number, (rule, _) in lines.items()}
    wanted = {rule: {"passed"} if holds else {"failed"} for rule, holds in lines.values()}
    # of several that must all hold some may
    found = {rule: {"failed"} if wanted[rule] == {"failed"} <= said else said for rule, said in found.items()}
    return {rule: said for rule, said in found.items() if said != wanted[rule]}


def few(lines):
    """Of every form the last rule that holds and the last that does not, and all composites."""
    last = {(rule.partition(" ")[0] if rule[0] != "(" else rule, holds): line for line, (rule, holds) in lines.items()}
    return {line: lines[line] for line in sorted(last.values())}


@pytest.fixture(scope="module")
def returned(ran, spark, request):
    """The rules after a way to a rule file and back, with whether they hold, and the result of their run; what is lost, with why."""
    lines, _, beside = ran
    one, back = beside.parent / "one.dqdl", beside.parent / "back.dqdl"
    lines_back: dict[int, tuple[str, bool]] = {}
    lost: dict[str, list[str]] = {}
    kept = lines if request.config.getoption("--full") else few(lines)
    for rule, holds in kept.values():
        one.write_text(f"Rules = [ {rule} ]", encoding="utf-8")
        references = {name: str(beside.parent / f"{name}.parquet") for name in ("known", "twin")}
        found = to_dqdl(load(one, batch="b", input_path="in.parquet", references=references))
        why = [loss.why for loss in found.losses if loss.what != "'input'"]
        rules = parse(found.text).rules or ()
        if why:
            lost[rule] = why
        else:
            whole = rules[0] if len(rules) == 1 else Composite("and", rules)
            lines_back[len(lines_back) + 2] = (format_rule(whole), holds)
    back.write_text("Rules = [\n" + ",\n".join(rule for rule, _ in lines_back.values()) + "\n]", encoding="utf-8")
    beside.write_text(beside.read_text().replace("catalogue.dqdl", "back.dqdl").replace("/out", "/again"))
    return lines_back, quality.run(beside, "b", spark=spark), lost


def test_every_rule_comes_back_from_a_rule_file_with_the_same_verdict(returned):
    lines, result, lost = returned
    assert wrong(lines, result) == {}
    # the clock of a rule file is a template, and DQDL has none
    assert {why for told in lost.values() for why in told} == {"it depends on the time of the run"}
    assert all("now()" in rule or rule.startswith("DataFreshness") for rule in lost)


def test_every_analyzer_leaves_its_metrics(ran):
    _, result, _ = ran
    found = {
        (name := rule["metric"]["name"], rule["metric"]["instance"] if name != "CustomSQL" else ""): rule["metric"][
            "value"
        ]
        for rule in result.data["rules"]
        if rule["metric"] and rule["expected"] == "recorded"
    }
    for text, metrics in MEASURED.items():
        for key, value in metrics.items():
            assert found[key] == pytest.approx(value), (text, key)
    profiled = {column.name for column in result.profile.columns}
    assert profiled == set(ROWS[0])


def test_files_are_hashed_as_often_as_the_plan_says(ran):
    _, result, _ = ran
    planned, actual = result.data["passes"]["planned"], result.data["passes"]["actual"]
    assert 0 < actual["wide"] <= planned["wide"]


@pytest.mark.parametrize(("text", "why"), REFUSED.items())
def test_what_is_refused_is_told(text, why, tmp_path):
    path = tmp_path / "refused.dqdl"
    path.write_text(f"Rules = [\n RowCount > 0,\n {text} ]")
    with pytest.raises(RuleFileError) as error:
        load(path, batch="b", input_path="a.parquet")
    (problem,) = error.value.problems
    assert (problem.line, why in problem.message) == (3, True)
