"""Every rule type over awkward values, judged by the engine and by the naive oracle of tests/oracle.py: scope, failing rows,
status, metric, and each quarantined row with exactly its reasons, read from the files themselves.

Many rules share a run, because a run takes a second; each is a test of its own.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import date, datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import quality
from quality.rule_types import REGISTRY, iso
from quality.rule_types.base import SchemaRule
from quality.rule_types.files import FileRule
from quality.rule_types.formats import FORMATS
from quality.rule_types.verdicts import Verdict
from tests import formats, oracle
from tests.sizes import as_large

UTC = timezone.utc
INF, NAN = math.inf, math.nan
BATCH = "2024-01-01"

# data: the values of each column repeat, at lengths without a common divisor, so that they meet each other

MIXED: dict[str, tuple[pa.DataType, list[Any]]] = {
    "i": (pa.int32(), [0, 1, 2, None, -1, 5, 2**31 - 1]),
    "l": (pa.int64(), [2**53 + 1, None, 2**53, -(2**63), 2**63 - 1, 0, 7, 1, 12, 3, 4]),
    "d": (pa.float64(), [0.0, -0.0, NAN, INF, -INF, None, 1.5, 0.1, 2.0, -7.25, 1e300, 5.0, 3.0]),
    "f": (pa.float32(), [0.5, None, NAN, -0.0, 2.0]),
    "dec": (pa.decimal128(10, 2), [*map(Decimal, ("0.10", "-0.10", "99999999.99", "0.00", "12.34")), None, Decimal(5)]),
    "big": (
        pa.decimal128(38, 18),
        [Decimal("0.000000000000000001"), None, Decimal("1234567890123456789.123456789012345678"), Decimal(1)],
    ),
    "s": (
        pa.string(),
        ["a", "", None, "ä€😀", "it's", 'say "x"', "back\\slash", "line\n", "A", "true", "5", " a", "NaN", "007", "a\nb"],
    ),
    "day": (
        pa.date32(),
        [date(2020, 2, 29), None, date(1, 1, 1), date(1582, 10, 4), date(1582, 10, 15), date(9999, 12, 31)],
    ),
    "ts": (
        pa.timestamp("us", tz="UTC"),
        [
            datetime(2020, 1, 1, tzinfo=UTC),
            datetime(2020, 1, 1, 0, 0, 0, 1, tzinfo=UTC),
            None,
            datetime(1500, 6, 1, 12, 30, 0, 999999, tzinfo=UTC),
            datetime(2019, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        ],
    ),
    "b": (pa.bool_(), [True, None, False]),
    "st": (pa.struct([("f", pa.int32()), ("t", pa.string())]), [{"f": 1, "t": "x"}, None, {"f": None, "t": "y"}, {"f": 9, "t": None}]),
    "n": (pa.int32(), [None]),
    "g": (pa.string(), ["a", "b", None, "a"]),
}  # fmt: skip
MIXED_ROWS: list[dict[str, Any]] = [
    {name: values[index % len(values)] for name, (_, values) in MIXED.items()} for index in range(44)
]
# whole rows that occur again, some of them twice
MIXED_ROWS += [MIXED_ROWS[3], MIXED_ROWS[3], MIXED_ROWS[17], MIXED_ROWS[40]]


def _and_known(*values: bool | None) -> bool | None:
    return False if False in values else None if None in values else True


TWINS: dict[str, Any] = {
    "g = 'a'": lambda row: None if row["g"] is None else row["g"] == "a",
    # NULL for the rows without i: they are out of scope, as in WHERE
    "i >= 0": lambda row: None if row["i"] is None else row["i"] >= 0,
    "i > 0 and g = 'a'": lambda row: _and_known(
        None if row["i"] is None else row["i"] > 0, None if row["g"] is None else row["g"] == "a"
    ),
    "g = 'nowhere'": lambda row: None if row["g"] is None else False,
    "i <= l": lambda row: None if row["i"] is None or row["l"] is None else row["i"] <= row["l"],
    "i is not null or b": lambda row: True if row["i"] is not None else row["b"],
    "d is null or d = d": lambda row: True,
    "s = 'it\\'s' or s like 'A%'": lambda row: None if row["s"] is None else row["s"] == "it's" or row["s"][:1] == "A",
    "false": lambda row: False,
}

# rules


def rows_of(word: str, column: str, **arguments: Any) -> dict[str, Any]:
    return {word: {"column": column, **arguments}}


VALUE_RULES: list[dict[str, Any]] = [
    *(rows_of("required", column) for column in ("i", "d", "s", "st", "ST.F", "n")),
    rows_of("values", "i", at_least=0, below=5),
    rows_of("values", "d", between=[-7.25, 5]),
    rows_of("values", "dec", above=-0.1, not_equals=0),
    rows_of("values", "day", at_least="1582-10-15"),
    rows_of("values", "st.f", at_most=5),
    rows_of("between", "l", range=[0, 2**53]),
    rows_of("between", "s", range=["A", "a"]),
    rows_of("between", "ts", range=["2020-01-01 00:00:00", "2020-01-01T00:00:00.000001Z"]),
    rows_of("between", "f", range=[0, 2]),
    *(rows_of(word, "i", value=1) for word in oracle.SIGNS),
    *(rows_of(word, "d", value=0) for word in oracle.SIGNS),
    *(rows_of(word, "dec", value=0.1) for word in oracle.SIGNS),
    rows_of("at_least", "i", value=0.5),
    rows_of("equals", "l", value=2**53 + 1),
    rows_of("not_equals", "big", value=1),
    rows_of("below", "big", value=1234567890123456790),
    rows_of("at_most", "d", value=INF),
    rows_of("above", "day", value="1582-10-04"),
    rows_of("at_most", "day", value="0001-01-01"),
    rows_of("below", "ts", value="2019-12-31 23:59:59.999999"),
    rows_of("equals", "b", value=True),
    rows_of("not_equals", "b", value="false"),
    rows_of("equals", "s", value="ä€😀"),
    rows_of("equals", "s", value=True),
    rows_of("not_equals", "s", value="back\\slash"),
    rows_of("equals", "s", value="line\n"),
    rows_of("above", "s", value=4),
    rows_of("at_most", "n", value=1),
]
SET_RULES: list[dict[str, Any]] = [
    rows_of("in", "i", values=[0, 1, 2**31 - 1]),
    rows_of("in", "i", values=[0, 1.0, 2.5]),
    rows_of("in", "d", values=[0, 1.5]),
    # above ten values Spark looks them up by hash
    rows_of("in", "d", values=[0, *range(10, 30), 1.5]),
    rows_of("not_in", "d", values=[0, 1.5]),
    rows_of("not_in", "d", values=[0, *range(10, 30)]),
    rows_of("in", "dec", values=[0.1, 5, 12.34]),
    rows_of("in", "l", values=[2**53, 2**63 - 1]),
    rows_of("in", "s", values=["a", "it's", 'say "x"', "back\\slash", "line\n", "ä€😀", ""]),
    rows_of("in", "s", values=["A", 5, True, 7]),
    rows_of("in", "s", values=[1, True, 1.0]),
    rows_of("not_in", "s", values=["it's", "\\", "a\nb"]),
    rows_of("in", "day", values=["1582-10-04", "2020-02-29"]),
    rows_of("not_in", "ts", values=["1500-06-01 12:30:00.999999", "2020-01-01"]),
    rows_of("in", "b", values=[True]),
    rows_of("matches", "s", pattern="[a-z ]+"),
    rows_of("matches", "s", pattern="line"),
    rows_of("matches", "s", pattern="a|it's|\\\\|.*\\\\.*"),
    rows_of("matches", "s", pattern=""" "x"|say "x" """.strip()),
    rows_of("matches", "s", pattern=".*"),
    rows_of("matches", "i", pattern="-?\\d"),
    rows_of("matches", "day", pattern="\\d{4}-02-29"),
    rows_of("contains_match", "s", pattern="[a€]"),
    rows_of("contains_match", "s", pattern="e$"),
    rows_of("contains_match", "s", pattern="^$"),
    rows_of("contains_match", "b", pattern="rue"),
    rows_of("length", "s", at_least=1, at_most=4),
    rows_of("length", "s", equals=3),
    rows_of("length", "s", not_equals=0),
    rows_of("length", "l", between=[1, 16]),
    rows_of("length", "n", at_least=1),
    rows_of("length", "st.t", equals=1),
]
TYPE_RULES: list[dict[str, Any]] = [
    *(rows_of("type", "i", **{"is": kind}) for kind in ("integer", "smallint", "double", "string", "boolean", "decimal(3,1)")),
    *(rows_of("type", "l", **{"is": kind}) for kind in ("integer", "double", "decimal(18,0)")),
    *(rows_of("type", "d", **{"is": kind}) for kind in ("integer", "float", "decimal(5,2)", "double", "string")),
    *(rows_of("type", "dec", **{"is": kind}) for kind in ("integer", "decimal(4,1)", "double")),
    *(rows_of("type", "big", **{"is": kind}) for kind in ("double", "decimal(20,0)")),
    *(rows_of("type", "s", **{"is": kind}) for kind in ("integer", "double", "boolean", "date", "timestamp", "decimal(4,1)")),
    rows_of("type", "day", **{"is": "timestamp"}),
    rows_of("type", "ts", **{"is": "date"}),
]  # fmt: skip
#: Each set of columns, and each filter, is a pass of its own: a second or two.
KEY_RULES: list[dict[str, Any]] = [
    *(
        {word: {"columns": columns}}
        for columns in (["i", "s"], ["d"], ["ST.f"], ["n"], [*MIXED][:11])
        for word in ("unique", "key")
    ),
    {"unique": {"column": "d"}, "tolerance": "25%", "severity": "warning"},
    {"key": {"columns": ["d"]}, "tolerance": {"rows": 45}, "on_fail": "hold"},
    {"key": {"columns": ["day", "b"]}, "where": "i > 0 and g = 'a'"},
    {"unique": {"columns": ["day", "b"]}, "where": "g = 'nowhere'"},
]
THAT_RULES: list[dict[str, Any]] = [
    {"that": text, "name": f"that {index}"}
    for index, text in enumerate(
        ("i <= l", "i is not null or b", "d is null or d = d", "s = 'it\\'s' or s like 'A%'", "false")
    )
]

TEXT_RULES: list[dict[str, Any]] = [
    *(rows_of("not_empty", column) for column in ("s", "i", "n")),
    *(rows_of("not_blank", column) for column in ("s", "st.t", "day")),
    rows_of("no_placeholder", "s"),
    rows_of("no_placeholder", "s", values=[5, True, "IT'S "]),
    rows_of("no_placeholder", "i", values=[-1, 2**31 - 1]),
    rows_of("no_placeholder", "d", values=[0, 1.5]),
    rows_of("no_placeholder", "day", values=["9999-12-31", "0001-01-01"]),
    rows_of("matches_any", "s", patterns=["[a-z]", "\\d+", "line"]),
    rows_of("matches_all", "s", patterns=["[^x]*", ".{1,3}"]),
    rows_of("matches_none", "s", patterns=["[A-Z]", "it's", "\\\\"]),
    rows_of("matches_none", "i", patterns="-?\\d"),
    *(
        rows_of(word, "s", pattern=p)
        for word in ("like", "not_like")
        for p in ("%a%", "_", "%\\\\%", "line", "it's", "a%b")
    ),
    rows_of("like", "l", pattern="9%"),
    *(rows_of("json", "s", **{"is": kind}) for kind in ("any", "array")),
    *(rows_of("castable", "s", to=kind) for kind in ("integer", "double", "boolean", "date", "decimal(4,1)")),
    rows_of("castable", "d", to="integer"),
    rows_of("castable", "l", to="double"),
    rows_of("format", "day", **{"is": "date"}),
    rows_of("format", "dec", **{"is": "decimal"}),
    rows_of("format", "s", **{"is": "integer"}),
]
DATE_RULES: list[dict[str, Any]] = [
    rows_of("not_future", "day", as_of="2000-01-01"),
    rows_of("not_future", "day", as_of="1582-10-14 23:59:59", grace="1 second"),
    rows_of("not_future", "ts", as_of="2019-12-31 23:59:59.999999"),
    rows_of("not_future", "ts", as_of="end of 2019-12-31"),
    rows_of("not_future", "ts", as_of="2019-12-31T22:59:59.999999-01:00", grace="1 second"),
    rows_of("within_last", "day", duration="11 days", as_of="1582-10-15"),
    rows_of("within_last", "day", duration="40 weeks", as_of="2020-11-01"),
    rows_of("within_last", "ts", duration="1 second", as_of="2020-01-01"),
    rows_of("within_last", "ts", duration="36 hours", as_of="end of 2020-01-01"),
]
SEVERAL_RULES: list[dict[str, Any]] = [
    *({"compare": {"column": "i", word: "l"}} for word in oracle.SIGNS),
    *({"compare": {"column": "d", word: "f"}} for word in oracle.SIGNS),
    {"compare": {"column": "i", "at_least": "dec", "below": "d"}},
    {"compare": {"column": "dec", "not_equals": "big"}},
    {"compare": {"column": "s", "above": "g"}},
    {"compare": {"column": "st.f", "at_most": "i"}},
    {"equal_columns": {"columns": ["i", "dec", "st.f"]}},
    {"equal_columns": {"columns": ["d", "f"]}},
    {"sum_equals": {"column": "i", "parts": ["i", "st.f"], "within": 1}},
    {"sum_equals": {"column": "l", "parts": ["l", "i"]}},
    {"sum_equals": {"column": "dec", "parts": ["i", "dec"], "within": 0.5}},
    {"sum_equals": {"column": "d", "parts": ["d", "f"], "within": 0.5}},
    {"sum_equals": {"column": "i", "parts": "st.f"}},
    *({word: {"columns": ["i", "dec", "b"]}} for word in oracle.FILLED),
    {"exactly_one_of": {"columns": ["n", "st.t"]}},
]
COMPOSED_RULES: list[dict[str, Any]] = [
    {"any": {"parts": [{"that": "g = 'a'"}, {"values": {"column": "i", "at_most": 1}}]}},
    {"any": {"parts": [{"that": "g = 'a'"}, {"that": "i >= 0"}]}},
    {"not": {"parts": [{"that": "g = 'a'"}]}},
    {"not": {"parts": [{"in": {"column": "d", "values": [0, 1.5]}}, {"required": {"column": "i"}}]}},
    {"all": {"parts": [{"above": {"column": "d", "value": 0}}, {"compare": {"column": "i", "below": "l"}}]}},
    {"all": {"parts": [{"required": {"column": "i"}}, {"required": {"column": "g"}}]}},
    {"any": {"parts": [{"required": {"column": "i"}}, {"type": {"column": "s", "is": "integer"}}]}},
    {"any": {"parts": [
        {"not": {"parts": [{"equals": {"column": "i", "value": 1}}]}},
        {"all": {"parts": [{"that": "i <= l"}, {"length": {"column": "s", "equals": 1}}]}},
    ]}},
]  # fmt: skip


def statistics(column: str, words: Sequence[str], **bounds: Any) -> list[dict[str, Any]]:
    return [{word: {"column": column, **(bounds or {"at_least": 0})}} for word in words]


METRIC_RULES: list[dict[str, Any]] = [
    {"row_count": {"at_least": 48}, "name": "size"},
    {"row_count": {"below": 48}, "name": "size below"},
    *(rule for column in ("i", "l", "d", "f", "dec", "big") for rule in statistics(column, ("mean", "sum", "stddev", "min", "max"))),
    *statistics("day", ("min", "max"), above="0001-01-01"),
    *statistics("ts", ("min", "max"), between=["1500-06-01 12:30:00.999999", "2020-01-01"]),
    *statistics("n", ("mean", "sum", "stddev", "min", "max")),
    *statistics("st.f", ("mean", "sum", "max")),
    *statistics("s", ("min_length", "max_length"), below=10),
    *(statistics(column, ("completeness",), above=0.5)[0] for column in ("i", "d", "s", "n", "st", "st.f")),
    *(
        {"quantile": {"column": column, "q": q, "at_most": 2}}
        for column in ("i", "dec")
        for q in (0, 0.1, 0.25, 0.5, 0.75, 0.9, 1)
    ),
    *(rule for column in ("i", "d", "f", "dec", "big", "n") for rule in statistics(column, ("variance", "skewness", "kurtosis", "value_range", "zeros_count"))),
    *(rule for column in ("i", "dec", "big", "f", "n", "st.f") for rule in statistics(column, ("iqr", "median"), at_most=2)),
    *({"quantile": {"column": "i", "q": q, "at_most": 2, "exact": True}} for q in (0, 0.3, 0.5, 1)),
    *(
        {"ratio_of_sums": {"numerator": up, "denominator": down, "above": 0}}
        for up, down in (("i", "dec"), ("f", "i"), ("n", "i"), ("i", "n"), ("dec", "st.f"))
    ),
    {"duplicate_rows": {"at_most": 6}},
    *({"compliance": {"that": text, "between": [0.3, 0.6]}} for text in ("i <= l", "i is not null or b", "d is null or d = d", "false")),
    *(
        {"freshness": {"column": column, "at_most": age, "as_of": as_of}}
        for column, age, as_of in (
            ("ts", "1 second", "2020-01-01 00:00:01"),
            ("ts", "1 second", "2020-01-01 00:00:01.000002"),
            ("ts", "24 hours", "end of 2020-01-01"),
            ("ts", "36 hours", "end of 2020-01-02"),
            ("day", "36 hours", "9999-12-31 12:00"),
                    )
    ),
    *({"duplicate_rows": {"columns": columns, "above": 4}} for columns in (["i", "g"], ["d"], ["n"])),
    {"quantile": {"column": "d", "q": 0.5, "at_most": 2}},
    {"quantile": {"column": "n", "q": 0.5, "at_most": 2}},
    *({"correlation": {"columns": pair, "at_least": -1}} for pair in (["i", "dec"], ["i", "d"], ["i", "n"], ["dec", "st.f"])),
    *(
        {word: {"columns": columns, "above": 0.2}}
        for word in ("uniqueness", "distinctness", "unique_value_ratio", "distinct_count")
        for columns in (["i"], ["d"], ["s"], ["n"], ["i", "g"], ["b", "n"])
    ),
]  # fmt: skip
#: Each set of columns, and each filter, is a pass of its own here too.
DISTRIBUTION_RULES: list[dict[str, Any]] = [
    *({"entropy": {"column": column, "above": 1.5}} for column in ("i", "d", "s", "b", "n", "st.f")),
    *({"top_value_ratio": {"column": column, "at_most": 0.3}} for column in ("i", "d", "s", "g", "n")),
    {"most_common_value": {"column": "g", "in": ["a"]}},
    {"most_common_value": {"column": "g", "in": ["b", "c"]}},
    # several are equally frequent
    {"most_common_value": {"column": "b", "in": [True]}},
    {"most_common_value": {"column": "b", "in": [True, False]}},
    {"most_common_value": {"column": "i", "in": [0.0, 2, 5]}},
    {"most_common_value": {"column": "d", "in": [0, 1.5]}},
    {"most_common_value": {"column": "n", "in": [1]}},
    *({"mutual_information": {"columns": pair, "above": 0.5}} for pair in (["i", "s"], ["d", "b"], ["day", "g"], ["i", "n"])),
    {"distinct_values": {"column": "g", "equals": ["a", "b"]}},
    {"distinct_values": {"column": "g", "equals": ["a", "c"]}},
    {"distinct_values": {"column": "s", "contains": ["ä€😀", "it's", "back\\slash", "a\nb", 5, True]}},
    {"distinct_values": {"column": "s", "contains": ["a", "x", "y's", "B"]}},
    {"distinct_values": {"column": "s", "in": ["a", "b"]}},
    {"distinct_values": {"column": "i", "contains": [0, 0.0, 2**31 - 1, 3]}},
    {"distinct_values": {"column": "l", "contains": [2**53, 2**63 - 1, *range(70)]}},
    {"distinct_values": {"column": "d", "in": [0, 1.5, 0.1, INF]}},
    {"distinct_values": {"column": "dec", "equals": [0.1, -0.1, 99999999.99, 0, 12.34, 5]}},
    {"distinct_values": {"column": "day", "contains": ["0001-01-01", "2020-02-29", "2021-02-28"]}},
    {"distinct_values": {"column": "b", "equals": [True, False]}},
    *({"distinct_values": {"column": "n", word: [1]}} for word in ("in", "contains", "equals")),
]  # fmt: skip
ORDER_RULES: list[dict[str, Any]] = [
    {"gaps": {"column": "ts", "at_most": "1 day"}},
    {"gaps": {"column": "day", "at_most": "1 day", "per": ["g"]}},
    {"gaps": {"column": "ts", "at_most": "400000 weeks", "per": ["b", "st.f"]}},
    {"gaps": {"column": "day", "at_most": "1 day"}, "where": "i > 0 and g = 'a'"},
    {"coverage": {"column": "day", "every": "month"}},
    {"coverage": {"column": "day", "every": "day", "from": "1582-10-02", "to": "end of 1582-10-16"}},
    {"coverage": {"column": "day", "every": "week", "from": "2020-02-26", "to": "2020-03-09", "missing": 1}},
    {"coverage": {"column": "ts", "every": "hour", "from": "2019-12-31 21:30:00", "to": "2020-01-01 00:00:00.000001"}},
    {"coverage": {"column": "ts", "every": "minute", "from": "1500-06-01 12:28:00", "to": "1500-06-01T14:33:00+02:00"}},
    {"coverage": {"column": "ts", "every": "day", "to": "1500-07-01"}},
    {"monotonic": {"column": "i", "order_by": "ts"}},
    {"monotonic": {"column": "ts", "order_by": ["ts"], "direction": "decreasing"}},
    {"monotonic": {"column": "l", "order_by": ["day", "i"], "per": ["g"], "strict": True}},
    {"monotonic": {"column": "d", "order_by": ["f"], "direction": "decreasing", "strict": True, "violations": 20}},
    {"monotonic": {"column": "s", "order_by": ["st.f", "b"], "direction": "decreasing", "per": ["b"]}},
    {"monotonic": {"column": "dec", "order_by": ["dec"], "strict": True, "violations": 100}},
    {"monotonic": {"column": "n", "order_by": ["i"]}},
]  # fmt: skip
ORDERED_RULES: list[dict[str, Any]] = [
    {"ordered": {"column": "i", "order_by": "ts"}},
    {"ordered": {"column": "i", "order_by": "ts"}, "tolerance": "25%", "nulls": "fail"},
    {"ordered": {"column": "d", "order_by": ["f", "i"], "direction": "decreasing", "strict": True}},
    {"ordered": {"column": "d", "order_by": ["f", "i"], "direction": "decreasing", "strict": True}, "nan": "pass"},
    {
        "ordered": {"column": "l", "order_by": ["day"], "per": ["g"], "strict": True},
        "where": "i >= 0",
        "severity": "info",
    },
    {"ordered": {"column": "s", "order_by": ["st.f", "b"], "direction": "decreasing", "per": ["b"]}},
    {"ordered": {"column": "ts", "order_by": ["day"], "per": ["d"]}},
    {"ordered": {"column": "n", "order_by": ["i"]}, "nulls": "skip"},
]
OUTLIER_RULES: list[dict[str, Any]] = [
    *(rows_of("no_outliers", "i", method=method) for method in ("iqr", "zscore", "mad")),
    *(rows_of("no_outliers", "d", method=method, factor=0.5) for method in ("iqr", "mad")),
    rows_of("no_outliers", "dec", method="zscore", factor=1),
    rows_of("no_outliers", "l", method="zscore", factor=1.2),
    rows_of("no_outliers", "f", method="mad", factor=1),
    rows_of("no_outliers", "st.f"),
    rows_of("no_outliers", "n", method="mad"),
]
APPROXIMATE_RULES: list[dict[str, Any]] = [
    *(
        {"distinct_count": {"column": column, "approximate": True, "at_least": 2}}
        for column in ("i", "d", "s", "day", "ts", "b", "dec", "n")
    ),
    *({"distinctness": {"columns": column, "approximate": True, "at_least": 0.01}} for column in ("i", "d", "s", "n")),
]

#: Each is put beside every rule that can carry it; the tolerances are on either side of what some rules need.
MODIFIERS: list[dict[str, Any]] = [
    {},
    {"nulls": "fail"},
    {"nulls": "skip"},
    {"nan": "pass"},
    {"where": "g = 'a'"},
    {"where": "i >= 0", "nulls": "fail"},
    {"where": "i > 0 and g = 'a'", "nulls": "skip", "nan": "pass"},
    {"where": "g = 'nowhere'"},
    {"tolerance": "25%"},
    {"tolerance": {"ratio": "0.1%", "rows": 9}, "severity": "warning"},
    {"tolerance": "12 rows", "on_fail": "hold", "nulls": "fail"},
    {"severity": "info"},
]


def varied(rules: Sequence[dict[str, Any]], step: int = 5) -> list[dict[str, Any]]:
    """Each rule as it is, and with some of the modifiers: which ones shifts from rule to rule, so that all are met."""
    found = []
    for index, rule in enumerate(rules):
        for offset, modifiers in enumerate(MODIFIERS):
            if modifiers == {} or (index + offset) % step == 0:
                carried = {word: value for word, value in modifiers.items() if carries(rule, word)}
                if carried == modifiers:
                    found.append({**rule, **carried})
    return found


def carries(rule: Mapping[str, Any], word: str) -> bool:
    kind = oracle.rule_type(rule)
    row_rule = kind in oracle.ROW_TYPES
    if word == "nulls":
        return row_rule and kind not in ("required", "unique", "key", *oracle.FILLED)
    if word == "nan":
        return row_rule and kind not in ("required", "unique", "key", "that", *oracle.FILLED)
    return word in ("where", "severity") or row_rule


FAMILIES = {
    "values": varied(VALUE_RULES),
    "sets and texts": varied(SET_RULES),
    "types": varied(TYPE_RULES),
    "more texts": varied(TEXT_RULES),
    "dates": varied(DATE_RULES),
    "several columns": varied(SEVERAL_RULES),
    "compositions": varied(COMPOSED_RULES, 2),
    "keys": KEY_RULES,
    "that": varied(THAT_RULES, 1),
    "metrics": varied(METRIC_RULES, 12),
    "distributions": [
        *DISTRIBUTION_RULES,
        *({**rule, "where": "i > 0 and g = 'a'"} for rule in DISTRIBUTION_RULES[:1] + DISTRIBUTION_RULES[11:12]),
        *({**rule, "where": "g = 'nowhere'"} for rule in DISTRIBUTION_RULES[5:6] + DISTRIBUTION_RULES[-4:]),
    ],
    "order": ORDER_RULES,
    "ordered": ORDERED_RULES,
    "outliers": varied(OUTLIER_RULES, 3),
    "approximate": APPROXIMATE_RULES,
}


def numbered(rules: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rules with a name each, which is their id too."""
    return [{**rule, "name": f"r{index}"} for index, rule in enumerate(rules)]


def label(rule: Mapping[str, Any]) -> str:
    kind = oracle.rule_type(rule)
    body = json.dumps(rule[kind], ensure_ascii=True, default=str)
    beside = {word: value for word, value in rule.items() if word not in (kind, "name")}
    return f"{rule['name']} {kind} {body[:70]} {json.dumps(beside) if beside else ''}".strip()


CASES = [
    pytest.param(family, rule, id=f"{family}: {label(rule)}")
    for family, rules in FAMILIES.items()
    for rule in numbered(rules)
]

# running


@dataclass(frozen=True)
class Done:
    """A run with what it was to find: `expected` by rule id."""

    result: quality.RunResult
    record: Mapping[str, Any]
    root: Path
    rules: Sequence[Mapping[str, Any]]
    rows: Sequence[Mapping[str, Any]]
    expected: Mapping[str, oracle.Expected]

    def files(self, side: str) -> list[Path]:
        return [self.root / file["path"] for file in self.record[side]]

    def written(self, side: str) -> list[dict[str, Any]]:
        return [row for path in self.files(side) for row in pq.ParquetFile(path).read().to_pylist()]


def write_rules(folder: Path, path: str, rules: Sequence[Mapping[str, Any]], more: Mapping[str, Any]) -> Path:
    tree = {
        "version": 1,
        "dataset": "awkward",
        "input": {"path": path, **more.get("input", {})},
        "rules": list(rules),
        "hold": {"quarantined_above": "100%"},
        "outputs": {"root": str(folder / "root")},
    }
    file = folder / "rules.yml"
    text = yaml.safe_dump(
        {**{k: v for k, v in more.items() if k != "input"}, **tree}, allow_unicode=True, sort_keys=False
    )
    file.write_text(text, encoding="utf-8")
    return file


def run_rules(spark, folder: Path, data: Path, rules, rows, twins=TWINS, engine="auto", **more: Any) -> Done:
    file = write_rules(folder, str(data), rules, more)
    result = quality.run(file, BATCH, spark=spark, engine=engine)
    assert result.exit_code != 3, result.data["message"]
    (commit,) = (folder / "root" / "commits" / "awkward").rglob("*.json")
    expected = {rule["name"]: oracle.judge(rule, rows, twins) for rule in rules}
    return Done(result, json.loads(commit.read_text(encoding="utf-8")), folder / "root", rules, rows, expected)


def write_parquet(
    path: Path, columns: Mapping[str, tuple[pa.DataType, Any]], rows: Sequence[Mapping[str, Any]]
) -> Path:
    schema = pa.schema([(name, kind) for name, (kind, _) in columns.items()])
    pq.write_table(pa.Table.from_pylist([dict(row) for row in rows], schema), path)
    return path


@pytest.fixture(scope="module")
def family(spark, tmp_path_factory):
    """Runs each family once; when that fails, once too."""
    done: dict[str, Done | Exception] = {}

    def run(name: str) -> Done:
        if name not in done:
            folder = tmp_path_factory.mktemp("family")
            data = write_parquet(folder / "data.parquet", MIXED, MIXED_ROWS)
            try:
                # generated rows, below, are small batches
                with as_large(spark):
                    done[name] = run_rules(spark, folder, data, numbered(FAMILIES[name]), MIXED_ROWS)
            except Exception as error:
                done[name] = error
        found = done[name]
        if isinstance(found, Exception):
            raise found
        return found

    return run


# comparing


def same(found: Any, expected: Any) -> bool:
    """Equal, doubles to twelve digits, NaN to NaN."""
    if isinstance(expected, float) and found is not None:
        number = float(found)
        return (
            math.isnan(number)
            if math.isnan(expected)
            else number == expected or math.isclose(number, expected, rel_tol=1e-12, abs_tol=1e-300)
        )
    if isinstance(expected, datetime):
        moment = datetime.fromisoformat(str(found))
        return bool((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) == expected)
    if isinstance(expected, date):
        return bool(date.fromisoformat(str(found)) == expected)
    if isinstance(expected, (int, Decimal)):
        return Decimal(str(found)) == expected
    return bool(found == expected)


def check_rule(entry: Mapping[str, Any], expected: oracle.Expected, exact: bool = True) -> None:
    assert (entry["status"], entry["message"] if entry["status"] == "error" else "") == (
        expected.status,
        entry["message"] if expected.status == "error" else "",
    )
    assert entry["rows_in_scope"] == expected.scope
    assert entry["failed_rows"] == expected.failed
    text = entry["metric"]["value_text"] if entry["metric"] else ""
    if expected.value is None:
        assert text == ""
    elif exact:
        assert same(text, expected.value), (text, expected.value)
    else:
        # of a count, or of a share
        near = 0.02 if entry["metric"]["name"] == "ApproxDistinctness" else 1
        assert float(text) == pytest.approx(expected.value, abs=near, rel=0.1)


def hashable(value: Any) -> Any:
    if isinstance(value, float):
        # as values of rows 0.0 and -0.0 are two
        return "NaN" if math.isnan(value) else (value, math.copysign(1, value))
    return tuple(sorted((key, hashable(entry)) for key, entry in value.items())) if isinstance(value, dict) else value


def content(row: Mapping[str, Any], columns: Sequence[str]) -> tuple[Any, ...]:
    return tuple(hashable(row[name]) for name in columns)


def reasons_of(done: Done) -> dict[int, tuple[str, ...]]:
    """The rules that put a row into quarantine, and all that it fails, in file order, by position of the row."""
    names = [rule["name"] for rule in done.rules]
    reasons = {i: tuple(name for name in names if i in done.expected[name].failing) for i in range(len(done.rows))}
    removing = {rule["name"] for rule in done.rules if quarantines(rule)}
    return {i: failed for i, failed in reasons.items() if removing.intersection(failed)}


def quarantines(rule: Mapping[str, Any]) -> bool:
    if rule.get("on_fail"):
        return bool(rule["on_fail"] != "keep")
    return bool(rule.get("severity", "error") == "error")


def check_sides(done: Done, columns: Sequence[str]) -> None:
    reasons = reasons_of(done)
    expected = Counter((content(done.rows[i], columns), failed) for i, failed in reasons.items())
    quarantined = done.written("quarantine")
    found = Counter(
        (content(row, columns), tuple(failure["rule"] for failure in row["_quality"]["failures"]))
        for row in quarantined
    )
    assert found == expected
    stay = Counter(content(row, columns) for i, row in enumerate(done.rows) if i not in reasons)
    assert Counter(content(row, columns) for row in done.written("passed")) == stay
    assert len({row["_quality"]["row_id"] for row in quarantined}) == len(quarantined)
    in_footers = {s: sum(pq.ParquetFile(p).metadata.num_rows for p in done.files(s)) for s in ("passed", "quarantine")}
    assert sum(in_footers.values()) == len(done.rows)
    counted = done.result.data["rows"]
    assert (counted["input"], counted["passed"], counted["quarantined"]) == (len(done.rows), *in_footers.values())


# tests


def test_the_oracle_knows_every_rule_type_and_each_is_tried_here():
    tried = {oracle.rule_type(rule) for rules in FAMILIES.values() for rule in rules}
    # drift is against earlier batches: see test_lookback; what asks references is told by plain sets in test_references.py
    assert set(REGISTRY) - oracle.ASKING_REFERENCES - oracle.QUERIES == oracle.TYPES | {"drift"} | {
        word for word, kind in REGISTRY.items() if issubclass(kind, (SchemaRule, FileRule, Verdict))
    }
    # lines that cannot be read exist in text formats alone, see below
    assert tried == oracle.TYPES - {"malformed", "date_format"}


@pytest.mark.parametrize(("name", "rule"), CASES)
def test_a_rule_finds_what_the_oracle_finds(family, name, rule):
    done = family(name)
    check_rule(done.result.rule(rule["name"]), done.expected[rule["name"]], exact=name != "approximate")


@pytest.mark.parametrize("name", FAMILIES)
def test_exactly_the_failing_rows_are_quarantined_with_all_their_reasons_in_file_order(family, name):
    check_sides(family(name), list(MIXED))


@pytest.mark.parametrize("name", ("values", "keys"))
def test_a_reason_names_severity_column_and_the_value_as_text(family, name):
    done = family(name)
    rules = {rule["name"]: rule for rule in done.rules}
    seen = 0
    for row in done.written("quarantine"):
        for failure in row["_quality"]["failures"]:
            rule = rules[failure["rule"]]
            arguments = rule[oracle.rule_type(rule)]
            columns = arguments.get("columns", [arguments.get("column")])
            assert (failure["severity"], failure["column"]) == (rule.get("severity", "error"), ",".join(columns))
            if not isinstance(oracle.column_value(row, columns[0].lower()), (float, dict)):
                assert failure["value"] == oracle.text_of(row, columns[0].lower())
                seen += 1
    assert seen > 100


def test_the_files_of_the_record_are_those_that_paths_lists(family):
    done = family("that")
    listed = quality.paths(str(done.root), "awkward", BATCH, run=done.record["run"])
    assert sorted(urlparse(uri).path for uri in listed) == sorted(str(path) for path in done.files("passed"))


def test_a_sum_beyond_38_digits_is_no_number_and_no_pass(spark, tmp_path):
    columns = {"big": (pa.decimal128(38, 0), None)}
    rows = [{"big": Decimal("9" * 38)}] * 2
    data = write_parquet(tmp_path / "data.parquet", columns, rows)
    done = run_rules(spark, tmp_path, data, [{"sum": {"column": "big", "above": 0}, "name": "sum"}], rows)
    assert done.result.rule("sum")["status"] == "error"
    assert done.result.exit_code == 4


# formats

FORMAT_COLUMNS: dict[str, tuple[pa.DataType, None]] = {"t": (pa.string(), None), "list": (pa.list_(pa.int32()), None)}
JSON_TEXTS = (
    '{"a": [1, {"b": null}]}', '{"a":1} x', "[1,2]", " [] ", "1],[2", '1,"w":2', "{'a':1}", "NaN", "01", "null", "tru", '"\\u00e4"',
    '{"a" 1}', "/* c */ 1", "[", '{"a":1}{"b":2}', '{"a":1,"a":2}', '"line\nbreak"', "-0.5e3", "[1,]", "\ufeff1", "{}", "]", '"',
)  # fmt: skip
BLANKS = (
    "\t",
    "\u00a0\u2003",
    "\x1c",
    "\u200b",
    " N/A ",
    "Unknown",
    "-",
    "\u00a0tbd",
    "n / a",
    "2024-01-01 10:00",
    "31.04.2024",
    "1.2.2024",
)


def test_every_format_is_told_as_pythons_own_modules_tell_it(spark, tmp_path):
    texts = [*formats.TEXTS, *JSON_TEXTS, *BLANKS]
    rows = [{"t": text, "list": [[], [1], None][index % 3]} for index, text in enumerate(texts)]
    rules = numbered(
        [
            *(rows_of("format", "t", **{"is": name}) for name in FORMATS),
            *(rows_of("json", "t", **{"is": kind}) for kind in ("any", "object", "array")),
            *(rows_of("date_format", "t", pattern=pattern) for pattern in oracle.DATE_PATTERNS),
            *(rows_of(word, "t") for word in ("not_blank", "not_empty", "no_placeholder")),
            rows_of("not_empty", "list"),
        ]
    )
    data = write_parquet(tmp_path / "data.parquet", FORMAT_COLUMNS, rows)
    done = run_rules(spark, tmp_path, data, [{**rule, "on_fail": "quarantine"} for rule in rules], rows)
    found: dict[str, set[str]] = {rule["name"]: set() for rule in rules}
    for row in done.written("quarantine"):
        for failure in row["_quality"]["failures"]:
            found[failure["rule"]].add(row["t"])
    failing = {name: {str(rows[index]["t"]) for index in expected.failing} for name, expected in done.expected.items()}
    assert {label(rule): found[rule["name"]] ^ failing[rule["name"]] for rule in rules} == {
        label(rule): set() for rule in rules
    }
    for rule in rules:
        assert 0 < len(failing[rule["name"]]) < len(rows), label(rule)
        check_rule(done.result.rule(rule["name"]), done.expected[rule["name"]])


def test_the_code_lists_are_whole():
    assert [len(set(codes)) for codes in (iso.COUNTRIES, iso.CURRENCIES, iso.LANGUAGES)] == [249, 178, 183]


# text

CSV_TYPES = {"n": "integer", "x": "double", "amount": "decimal(6,2)", "day": "date", "at": "timestamp", "ok": "boolean"}
CSV_VALUES: dict[str, list[str | None]] = {
    "n": ["1", "abc", None, "-7", "1.5", " 8 ", "2147483648", "12"],
    "x": ["0.5", "NaN", "x", None, "1e3", "-0.0", "Infinity"],
    "amount": ["1.20", "1.234", "9999.99", None, "10000", "-3", "1,5", "0.10", "2.500"],
    "day": ["2020-02-29", "2021-02-29", None, "2020-01-01 garbage", "1582-10-04", "0001-01-01", "29.02.2020"],
    "at": ["2020-01-01 00:00:00.000001", None, "2020-01-01T10:00:00Z", "10:00:00", "never"],
    "ok": ["true", "FALSE", None, "maybe"],
    "word": ["a", None, "", "ä€😀", "it's", "x,y", 'say "x"', "back\\slash", " padded ", "NULL", "two\nlines"],
}
CSV_RULES: list[dict[str, Any]] = [
    {"malformed": True},
    # as test_matrix has it: two lines are broken
    {"malformed": True, "tolerance": "2 rows", "on_fail": "hold"},
    {"malformed": True, "tolerance": "1 rows", "severity": "warning"},
    *(rows_of("type", name, **{"is": kind}) for name, kind in CSV_TYPES.items()),
    *(rows_of("required", name) for name in CSV_VALUES),
    rows_of("at_least", "n", value=1),
    {**rows_of("between", "n", range=[-7, 8]), "nulls": "fail"},
    {**rows_of("at_most", "x", value=100), "nan": "pass"},
    rows_of("above", "x", value=-1),
    {**rows_of("below", "amount", value=2.5), "nulls": "skip"},
    rows_of("at_least", "day", value="1582-10-05"),
    {**rows_of("equals", "at", value="2020-01-01 10:00:00"), "where": "ok"},
    rows_of("in", "word", values=["a", "", "it's", "x,y", "back\\slash", "two\nlines"]),
    rows_of("matches", "n", pattern="-?[0-9]+"),
    rows_of("castable", "n", to="smallint"),
    rows_of("castable", "word", to="integer"),
    rows_of("not_blank", "word"),
    rows_of("no_placeholder", "word"),
    {**rows_of("within_last", "at", duration="1 day", as_of="2020-01-01 10:00:00"), "nulls": "fail"},
    {"compare": {"column": "n", "at_least": "amount"}},
    rows_of("length", "amount", at_most=4),
    rows_of("length", "word", between=[1, 8]),
    {"that": "n > amount", "nulls": "skip"},
    {"unique": {"columns": ["n", "ok"]}},
    *({word: {"column": "amount", "above": 0}} for word in ("sum", "mean", "max")),
    {"completeness": {"column": "day", "above": 0.9}},
    {"row_count": {"equals": 35}},
]
CSV_TWINS = {
    "ok": lambda row: row["ok"],
    "n > amount": lambda row: None if None in (row["n"], row["amount"]) else row["n"] > row["amount"],
}
CSV_LINES = 35


def csv_field(text: str | None) -> str:
    if text is None:
        return "NA"
    return '"' + text.replace('"', '""') + '"'


def csv_row(index: int) -> dict[str, Any]:
    raw = {name: texts[index % len(texts)] for name, texts in CSV_VALUES.items()}
    typed = {n: None if t is None else oracle.parse(t, CSV_TYPES.get(n, "string")) for n, t in raw.items()}
    return {**typed, oracle.RAW: raw}


def test_values_of_a_csv_file_are_judged_as_their_types_and_lines_that_are_none_apart(spark, tmp_path):
    rows = [csv_row(index) for index in range(CSV_LINES)]
    lines = [",".join(csv_field(row[oracle.RAW][name]) for name in CSV_VALUES) for row in rows]
    broken = ["1,2,3", "a,b,c,d,e,f,g,h,i"]
    data = tmp_path / "data.csv"
    data.write_text("\n".join([",".join(CSV_VALUES), *lines, *broken]) + "\n", encoding="utf-8")
    rows += [{oracle.LINE: line} for line in broken]
    rules = numbered(CSV_RULES)
    options = {"header": True, "multiLine": True, "escape": '"', "nullValue": "NA"}
    more = {"input": {"options": options, "schema": CSV_TYPES}, "columns": {name: {} for name in CSV_VALUES}}
    done = run_rules(spark, tmp_path, data, rules, rows, CSV_TWINS, **more)
    for rule in rules:
        check_rule(done.result.rule(rule["name"]), done.expected[rule["name"]])
    empty = dict.fromkeys(CSV_VALUES)
    shown = [{**empty, **row} for row in rows]
    check_sides(Done(done.result, done.record, done.root, rules, shown, done.expected), list(CSV_VALUES))
    lines_kept = [
        failure["value"]
        for row in done.written("quarantine")
        for failure in row["_quality"]["failures"]
        if failure["rule"] == rules[0]["name"]
    ]
    assert sorted(lines_kept) == sorted(broken)


# names

ZOO = [
    "a.b",
    "a b",
    "select",
    "ä€😀",
    "it`s",
    "x,y",
    "1st",
    'say "x"',
    "it's",
    "Case",
    "new\nline",
    "{{",
    "*",
    "s",
    "k0",
    "_1",
]


def test_any_name_of_a_column_can_be_demanded_of(spark, tmp_path):
    columns = {**{name: (pa.int32(), None) for name in ZOO}, "st": (pa.struct([("f g", pa.int32())]), None)}
    rows = [{**{n: (i + p) % 5 or None for p, n in enumerate(ZOO)}, "st": {"f g": i % 3}} for i in range(12)]
    named = ["{{ '{{' }}" if name == "{{" else name for name in [*ZOO, "cAsE", "ST.F G"]]
    plain = [*ZOO, "cAsE", "ST.F G"]
    data = write_parquet(tmp_path / "data.parquet", columns, rows)

    def rules(names: Sequence[str]) -> list[dict[str, Any]]:
        return [
            *(rows_of(word, name, **arguments) for name in names for word, arguments in
              (("required", {}), ("at_most", {"value": 3}), ("in", {"values": [1, 2, 3]}))),
            *({word: {"column": name, "at_least": least}} for name in names for word, least in (("mean", 2), ("max", 2), ("completeness", 1))),
            {"unique": {"columns": list(names[:6])}},
            {"key": {"columns": list(names[6:])}},
            {"distinct_count": {"columns": list(names[3:6]), "at_least": 5}},
            {"correlation": {"columns": list(names[:2]), "at_least": -1}},
        ]  # fmt: skip

    expected = {rule["name"]: oracle.judge(rule, rows, {}) for rule in numbered(rules(plain))}
    file = write_rules(tmp_path, str(data), numbered(rules(named)), {})
    result = quality.run(file, BATCH, spark=spark)
    for name, found in expected.items():
        check_rule(result.rule(name), found)
    (commit,) = (tmp_path / "root" / "commits" / "awkward").rglob("*.json")
    record = json.loads(commit.read_text(encoding="utf-8"))
    check_sides(Done(result, record, tmp_path / "root", numbered(rules(plain)), rows, expected), list(columns))


# nothing

EMPTY_RULES = numbered(
    [
        {"compliance": {"that": "i >= 0", "equals": 1}},
        rows_of("required", "i"),
        rows_of("between", "d", range=[0, 1]),
        {"unique": {"column": "s"}},
        {"that": "i > 0"},
        {"mean": {"column": "d", "above": 0}},
        {"min": {"column": "day", "above": "2020-01-01"}},
        {"completeness": {"column": "i", "equals": 1}},
        {"uniqueness": {"column": "i", "equals": 1}},
        {"distinct_count": {"column": "i", "equals": 0}},
        {"quantile": {"column": "i", "q": 0.5, "above": 0}},
        {"correlation": {"columns": ["i", "d"], "above": 0}},
        {"row_count": {"at_most": 0}},
    ]
)


@pytest.mark.parametrize(("allowed", "status", "decision", "exit_code"), (
    (True, "passed", "published", 0),
    (False, "warning", "held", 4),
))  # fmt: skip
def test_a_batch_without_rows_is_published_only_where_that_is_allowed(
    spark, tmp_path, allowed, status, decision, exit_code
):
    data = write_parquet(tmp_path / "data.parquet", MIXED, [])
    done = run_rules(spark, tmp_path, data, EMPTY_RULES, [], input={"allow_empty": allowed})
    for rule in EMPTY_RULES:
        check_rule(done.result.rule(rule["name"]), done.expected[rule["name"]])
    assert (str(done.result.status), str(done.result.decision), done.result.exit_code) == (status, decision, exit_code)
    assert sum(pq.ParquetFile(path).metadata.num_rows for path in done.files("passed")) == 0
    assert pq.ParquetFile(done.files("passed")[0]).schema_arrow.names == list(MIXED)


# generated

GENERATED: dict[str, tuple[pa.DataType, st.SearchStrategy[Any]]] = {
    "i": (pa.int32(), st.integers(-3, 3) | st.integers(-(2**31), 2**31 - 1)),
    "d": (pa.float64(), st.sampled_from([0.0, -0.0, 1.0, NAN, INF, -INF]) | st.floats()),
    "dec": (pa.decimal128(10, 2), st.decimals(-(10**7), 10**7, places=2, allow_nan=False)),
    "s": (pa.string(), st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=4)),
    "day": (pa.date32(), st.dates()),
    "ts": (pa.timestamp("us", tz="UTC"), st.datetimes(timezones=st.just(UTC))),
    "b": (pa.bool_(), st.booleans()),
    "g": (pa.string(), st.sampled_from(["a", "b"])),
}
FRAMES = st.lists(
    st.fixed_dictionaries({name: st.none() | values for name, (_, values) in GENERATED.items()}),
    min_size=1,
    max_size=12,
)
GENERATED_RULES = numbered(
    [
        *(rows_of(word, "i", value=0) for word in oracle.SIGNS),
        *({**rows_of(word, "d", value=0), "nulls": "skip"} for word in oracle.SIGNS),
        {**rows_of("values", "dec", between=[-0.5, 0.5]), "nulls": "fail"},
        {**rows_of("in", "d", values=[0, 1]), "nan": "pass"},
        rows_of("matches", "s", pattern="[a-z]*"),
        rows_of("length", "s", below=3),
        rows_of("above", "day", value="1582-10-10"),
        {**rows_of("at_most", "ts", value="2000-01-01 00:00:00"), "where": "g = 'a'"},
        {"unique": {"columns": ["i", "b"]}},
        {"that": "i >= 0", "nulls": "fail", "tolerance": "50%"},
        *({word: {"column": "dec", "at_least": 0}} for word in ("sum", "min", "max")),
        *({word: {"column": "day", "above": "1000-01-01"}} for word in ("min", "max")),
        {"quantile": {"column": "i", "q": 0.5, "at_most": 0}},
        {"completeness": {"column": "s", "at_least": 0.5}, "where": "g = 'a'"},
        {"compliance": {"that": "i >= 0", "at_least": 0.5}, "where": "g = 'a'"},
        {"min_length": {"column": "s", "at_least": 1}},
    ]
)


@settings(
    max_examples=4, deadline=None, derandomize=True, database=None, suppress_health_check=[*HealthCheck]
)  # fmt: skip
@given(rows=FRAMES)
def test_generated_rows_are_judged_as_the_oracle_judges_them(spark, tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("generated")
    columns = {name: (kind, None) for name, (kind, _) in GENERATED.items()}
    data = write_parquet(folder / "data.parquet", columns, rows)
    done = run_rules(spark, folder, data, GENERATED_RULES, rows)
    for rule in GENERATED_RULES:
        check_rule(done.result.rule(rule["name"]), done.expected[rule["name"]])
    check_sides(done, list(GENERATED))


def _found(value: Any, keys: Sequence[Any], *, nan: bool) -> bool:
    if isinstance(value, float) and math.isnan(value):
        return nan and any(isinstance(key, float) and math.isnan(key) for key in keys)
    return value is not None and value in [key for key in keys if key is not None]


@pytest.mark.full
@settings(
    max_examples=8, deadline=None, derandomize=True, database=None, suppress_health_check=[*HealthCheck]
)  # fmt: skip
@given(rows=FRAMES, others=FRAMES, places=st.lists(st.integers(0, 11), max_size=6))
def test_generated_rows_are_found_in_references_and_returned_by_queries(spark, tmp_path_factory, rows, others, places):
    folder = tmp_path_factory.mktemp("asked")
    columns = {name: (kind, None) for name, (kind, _) in GENERATED.items()}
    data = write_parquet(folder / "data.parquet", columns, rows)
    # some keys are those of rows
    keys = [*others, *(rows[place % len(rows)] for place in places)]
    write_parquet(folder / "keys.parquet", columns, keys)
    rules: list[dict[str, Any]] = []
    expected: dict[str, oracle.Expected] = {}
    for name in ("d", "dec", "s", "ts"):
        known = [key[name] for key in keys]
        missing = {i for i, row in enumerate(rows) if not _found(row[name], known, nan=False)}
        nulls = {i for i, row in enumerate(rows) if row[name] is None}
        body = {"columns": [name], "reference": "keys"}
        rules.append({"exists_in": body, "nulls": "fail", "name": f"{name} fail"})
        expected[f"{name}-fail"] = oracle._rows(rules[-1], range(len(rows)), missing)
        rules.append({"exists_in": body, "nulls": "skip", "name": f"{name} skip"})
        expected[f"{name}-skip"] = oracle._rows(
            rules[-1], [i for i in range(len(rows)) if i not in nulls], missing - nulls
        )
        # in a join NaN equals NaN, and NULL nothing
        query = f"select t.{name} from this t left anti join keys k on t.{name} = k.{name}"
        rules.append({"sql_rows": {"query": query, "key": name}, "name": f"{name} query"})
        left = {i for i, row in enumerate(rows) if not _found(row[name], known, nan=True)}
        expected[f"{name}-query"] = oracle._rows(rules[-1], range(len(rows)), left)
    more = {"references": {"keys": {"path": str(folder / "keys.parquet")}}}
    file = write_rules(folder, str(data), rules, more)
    result = quality.run(file, BATCH, spark=spark)
    assert result.exit_code != 3, result.data["message"]
    (commit,) = (folder / "root" / "commits" / "awkward").rglob("*.json")
    for name, found in expected.items():
        check_rule(result.rule(name), found)
    named = [{**rule, "name": rule["name"].replace(" ", "-")} for rule in rules]
    record = json.loads(commit.read_text(encoding="utf-8"))
    check_sides(Done(result, record, folder / "root", named, rows, expected), list(GENERATED))


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)
#: Values of every type beside those that are awkward on purpose.
ANY: dict[str, st.SearchStrategy[Any]] = {
    "i": st.integers(-(2**31), 2**31 - 1),
    "l": st.integers(-(2**63), 2**63 - 1),
    "d": st.floats(),
    "f": st.floats(width=32),
    "dec": st.decimals(-(10**8) + 1, 10**8 - 1, places=2, allow_nan=False),
    "s": TEXTS | TEXTS.map(lambda text: text * 500),
    "day": st.dates(),
    "ts": st.datetimes(timezones=st.just(UTC)),
}
WIDE_ROWS = st.lists(
    st.fixed_dictionaries(
        {name: st.sampled_from([None, *values]) | ANY.get(name, st.none()) for name, (_, values) in MIXED.items()}
    ),
    min_size=1,
    max_size=20,
).flatmap(
    # whole rows that occur again
    lambda rows: st.lists(st.sampled_from(rows), max_size=6).map(lambda again: [*rows, *again])
)
#: Of everything that is tried above, but for what is told approximately.
EVERY_RULE = [rule for name, rules in FAMILIES.items() if name != "approximate" for rule in rules]


@pytest.mark.full
@settings(
    max_examples=40, deadline=None, derandomize=True, database=None, suppress_health_check=[*HealthCheck],
    # a failing case is told with what is wrong in it; to make it smaller would take many runs
    phases=[Phase.generate],
)  # fmt: skip
@given(
    rows=WIDE_ROWS,
    places=st.lists(st.integers(0, len(EVERY_RULE) - 1), min_size=25, max_size=45, unique=True),
    is_large=st.booleans(),
)
def test_any_rules_find_in_any_rows_what_the_oracle_finds(spark, tmp_path_factory, rows, places, is_large):
    rules = numbered([EVERY_RULE[place] for place in places])
    folder = tmp_path_factory.mktemp("any")
    data = write_parquet(folder / "data.parquet", MIXED, rows)
    with as_large(spark) if is_large else nullcontext():
        done = run_rules(spark, folder, data, rules, rows)
    wrong = {}
    for rule in rules:
        try:
            check_rule(done.result.rule(rule["name"]), done.expected[rule["name"]])
        except AssertionError as error:
            wrong[json.dumps(rule, default=str)] = str(error)[:300]
    assert wrong == {}
    check_sides(done, list(MIXED))


# elements

LINES = pa.struct([("p", pa.float64()), ("t", pa.string())])
ORDERS = pa.list_(pa.struct([("lines", pa.list_(pa.struct([("n", pa.int32())])))]))
PARTED: dict[str, tuple[pa.DataType, list[Any]]] = {
    "items": (
        pa.list_(LINES),
        [
            [{"p": 1.0, "t": "a"}, {"p": 7.5, "t": "B"}],
            None,
            [],
            [{"p": None, "t": "a"}, None],
            [{"p": NAN, "t": None}],
            [{"p": 0.0, "t": "a"}, {"p": -1.0, "t": "a"}],
            [{"p": 2.0, "t": "b'c"}],
        ],
    ),
    "m": (pa.map_(pa.string(), pa.int32()), [[("k", 1), ("x.y", 9)], None, [], [("k", None)], [("K", 0), ("l", 5)]]),
    "odd.list[]": (pa.list_(pa.int32()), [[1, 2], [None, 3], None, [9]]),
    "st": (
        pa.struct([("a b", pa.list_(pa.date32()))]),
        [{"a b": [date(2020, 1, 1)]}, {"a b": None}, None, {"a b": [None]}],
    ),
    "grid": (pa.list_(pa.list_(pa.int32())), [[[1], [2, 3]], [[], None], None, [[4, None]], [], [[5], [6, -1]]]),
    "orders": (ORDERS, [[{"lines": [{"n": 1}, {"n": 4}]}, {"lines": None}], [None], [{"lines": [{"n": 0}]}]]),
}
PARTED_ROWS = [{"id": n, **{name: values[n % len(values)] for name, (_, values) in PARTED.items()}} for n in range(30)]


def inner(values: Any, *names: Any) -> Any:
    """The fields of the elements of a list; a nested list instead where they are lists."""
    for name in names:
        values = None if values is None else [None if v is None else v[name] for v in values]
    return values


#: What each path stands for, by hand; of a nested list the inner ones.
PATHS: dict[str, Any] = {
    "items[].p": lambda row: inner(row["items"], "p"),
    "ITEMS[].t": lambda row: inner(row["items"], "t"),
    "m[keys]": lambda row: inner(row["m"], 0),
    "m[values]": lambda row: inner(row["m"], 1),
    "`odd.list[]`[]": lambda row: row["odd.list[]"],
    "st.a b[]": lambda row: None if row["st"] is None else row["st"]["a b"],
    "grid[][]": lambda row: row["grid"],
    "orders[].lines[].n": lambda row: (
        None if row["orders"] is None else [None if o is None else inner(o["lines"], "n") for o in row["orders"]]
    ),
}
PARTED_RULES = [
    *({**rows_of("above", "items[].p", value=0), **more} for more in ({}, {"nulls": "fail"}, {"nulls": "skip"}, {"nan": "pass"})),
    *({**rows_of("in", "m[values]", values=[1, 9, 5]), **more} for more in ({}, {"nulls": "fail"}, {"nulls": "skip"})),
    *({**rows_of("at_most", "grid[][]", value=5), **more} for more in ({}, {"nulls": "fail"}, {"nulls": "skip"})),
    {**rows_of("between", "orders[].lines[].n", range=[1, 4]), "nulls": "fail", "tolerance": "1 rows"},
    rows_of("between", "orders[].lines[].n", range=[1, 3]),
    *(rows_of("required", path) for path in ("items[].t", "m[values]", "grid[][]", "m[keys]")),
    rows_of("matches", "ITEMS[].t", pattern="[ab]('c)?"),
    rows_of("equals", "ITEMS[].t", value="b'c"),
    rows_of("matches", "m[keys]", pattern="[a-z.]+"),
    rows_of("at_most", "`odd.list[]`[]", value=3),
    rows_of("above", "st.a b[]", value="2020-01-01"),
    rows_of("not_in", "m[keys]", values=["l"]),
]  # fmt: skip


def element_holds(rule: Mapping[str, Any], value: Any, depth: int) -> bool:
    """Whether all below a value hold, `depth` lists above them. A list that is NULL is like a NULL value, but for `required`:
    it has no element that is missing."""
    word = oracle.rule_type(rule)
    if value is None:
        return rule.get("nulls") != "fail" and (depth > 0 or word != "required")
    if depth:
        return all(element_holds(rule, one, depth - 1) for one in value)
    if rule.get("nan") == "pass" and isinstance(value, float) and math.isnan(value):
        return True
    return oracle.PREDICATES[word]({"e": value}, "e", value, rule[word]) is True


def test_every_element_must_hold_what_is_demanded_of_it(spark, tmp_path):
    columns = {"id": (pa.int32(), None), **PARTED}
    data = write_parquet(tmp_path / "data.parquet", columns, PARTED_ROWS)
    rules = numbered(PARTED_RULES)
    by_name = {path.lower(): found for path, found in PATHS.items()}
    expected: dict[str, oracle.Expected] = {}
    for rule in rules:
        word = oracle.rule_type(rule)
        lists = [by_name[rule[word]["column"].lower()](row) for row in PARTED_ROWS]
        scope = [n for n, found in enumerate(lists) if found is not None or rule.get("nulls") != "skip"]
        depth = rule[word]["column"].count("[") - rule[word]["column"].count("`odd")
        failing = {n for n in scope if not element_holds(rule, lists[n], depth)}
        expected[rule["name"]] = oracle._rows(rule, scope, failing)
    file = write_rules(tmp_path, str(data), rules, {})
    result = quality.run(file, BATCH, spark=spark)
    assert result.exit_code != 3, result.data["message"]
    for rule in rules:
        check_rule(result.rule(rule["name"]), expected[rule["name"]])
        # a key is never NULL
        assert bool(expected[rule["name"]].failing) == (rule.get("required") != {"column": "m[keys]"})
    (commit,) = (tmp_path / "root" / "commits" / "awkward").rglob("*.json")
    record = json.loads(commit.read_text(encoding="utf-8"))
    done = Done(result, record, tmp_path / "root", rules, PARTED_ROWS, expected)
    check_sides(done, ["id"])
    # the value is that of the first element that fails
    told = {
        (row["id"], failure["rule"]): failure["value"]
        for row in done.written("quarantine")
        for failure in row["_quality"]["failures"]
    }
    assert (told[5, "r0"], told[4, "r0"], told[4, "r4"]) == ("0.0", "NaN", "0")
