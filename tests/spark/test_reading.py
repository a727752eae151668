"""Reading loses, doubles and changes nothing: hostile inputs, each with the exact rows that must come out of it.

Every text case is judged by rules that need all, some and none of its columns, because Spark decides what is malformed
by the columns a query happens to need: all of them must have seen the same rows.
"""

from __future__ import annotations

import gzip
import io
import json
import os
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import orc

from quality.errors import RuleFileError
from tests.written import Place

UTC = timezone.utc
Rows = list[tuple[Any, ...]]


@pytest.fixture
def place(spark, tmp_path):
    return Place(tmp_path, spark)


@dataclass(frozen=True)
class Case:
    """Files, the columns and well-formed rows that must come of them, and the lines that are no rows."""

    files: dict[str, str | bytes]
    columns: str
    rows: Rows
    malformed: tuple[str, ...] = ()
    options: str = "{header: true}"
    path: str = "*"


def judged(place: Place, case: Case, format: str) -> None:
    """Run the case, and compare what every pass over it saw with what is expected."""
    place.put(case.files)
    columns = case.columns.split()
    first, last = json.dumps(columns[0]), json.dumps(columns[-1])
    rules = f"""
- {{name: rows, row_count: {{at_least: 0}}}}
- {{name: keys, distinct_count: {{columns: [{first}], at_least: 0}}}}
- {{name: there, completeness: {{column: {last}, at_least: 0}}}}
- {{name: seen, that: "true"}}
- {{name: clash, unique: [{", ".join(map(json.dumps, columns))}], on_fail: keep, severity: info}}"""
    result = place.run(rules, input=f"options: {case.options}", format=format, path=case.path)
    assert result.exit_code == (1 if case.malformed else 0), result.data["message"]
    assert [column["name"] for column in place.record()["columns"]] == columns
    place.conserves(len(case.rows) + len(case.malformed))
    assert place.passed(*columns) == sorted((row if len(row) > 1 else row[0] for row in case.rows), key=str)
    assert place.malformed() == sorted(case.malformed)
    told = {rule["id"]: rule for rule in result.data["rules"]}
    assert told["rows"]["metric"]["value"] == len(case.rows)
    assert told["seen"]["rows_in_scope"] == told["there"]["rows_in_scope"] == len(case.rows)
    assert told["keys"]["metric"]["value"] == len({row[0] for row in case.rows if row[0] is not None})
    assert told["there"]["metric"]["value"] == pytest.approx(
        sum(row[-1] is not None for row in case.rows) / len(case.rows)
    )


HEADED = "id,t,u\n"

CSV = {
    "a line has as many fields as the header, or is malformed": Case(
        {"a.csv": HEADED + "1,a,b\n2,a\n3,a,b,c\n4,,\n5,a,b,\n"}, "id t u", [("1", "a", "b"), ("4", None, None)],
        ("2,a", "3,a,b,c", "5,a,b,"),
    ),
    "quotes hold delimiters and are taken off": Case(
        {"a.csv": HEADED + '"1","x,y",b\n2," pad ",""\n3, pad ,c\n'}, "id t u",
        [("1", "x,y", "b"), ("2", " pad ", None), ("3", " pad ", "c")],
    ),
    "a quote within is escaped by a backslash, and doubled quotes stay as they are": Case(
        {"a.csv": HEADED + '1,"say \\"hi\\"",b\n2,"say ""hi""",b\n3,x"y,b\n'}, "id t u",
        [("1", 'say "hi"', "b"), ("2", '"say ""hi"""', "b"), ("3", 'x"y', "b")],
    ),
    "doubled quotes are one where the escape is a quote": Case(
        {"a.csv": HEADED + '1,"say ""hi"", again",b\n'}, "id t u", [("1", 'say "hi", again', "b")],
        options="""{header: true, escape: '"'}""",
    ),
    "a line feed in quotes ends the line": Case(
        {"a.csv": HEADED + '1,"two\nlines",b\n2,a,b\n'}, "id t u", [("2", "a", "b")], ('1,"two', 'lines",b'),
    ),
    "a line feed in quotes is part of the value with multiLine": Case(
        {"a.csv": HEADED + '1,"two\nlines",b\n2,a\n3,"x\n\ny",c\n4,a,b,c\n'}, "id t u",
        [("1", "two\nlines", "b"), ("3", "x\n\ny", "c")], ("2,a", "4,a,b,c"), options="{header: true, multiLine: true}",
    ),
    "a quote that is not closed takes the rest of its line": Case(
        {"a.csv": HEADED + '1,"open,b\n2,a,b\n'}, "id t u", [("2", "a", "b")], ('1,"open,b',),
    ),
    # Spark's parser does not tell it from a quote that is closed
    "a quote that is not closed in the last field of a line goes unnoticed": Case(
        {"a.csv": HEADED + '1,a,"open\n2,a,b\n'}, "id t u", [("1", "a", "open"), ("2", "a", "b")],
    ),
    "a line of blanks is no row, even where blanks are the delimiter": Case(
        {"a.tsv": "id\tt\n1\ta\n\t\n2\tb\n"}, "id t", [("1", "a"), ("2", "b")],
        options='{header: true, sep: "\\t"}',
    ),
    "a quote that is not closed takes the rest of the file with multiLine": Case(
        {"a.csv": HEADED + '1,a,b\n2,"open,b\n3,c,d\n'}, "id t u", [("1", "a", "b")], ('2,"open,b\n3,c,d',),
        options="{header: true, multiLine: true}",
    ),
    "blank lines are no rows": Case(
        {"a.csv": "\n\n" + HEADED + "\n1,a,b\n   \n2,a,b\n\n"}, "id t u", [("1", "a", "b"), ("2", "a", "b")],
    ),
    "a byte order mark, carriage returns and a missing last line feed are not part of values": Case(
        {"a.csv": b"\xef\xbb\xbfid,t,u\r\n1,a,b\r\n2,a,\xc3\xa9"}, "id t u", [("1", "a", "b"), ("2", "a", "é")],
    ),
    "the same with multiLine": Case(
        {"a.csv": b"\xef\xbb\xbfid,t,u\r\n1,a,b\r\n2,a,\xc3\xa9"}, "id t u", [("1", "a", "b"), ("2", "a", "é")],
        options="{header: true, multiLine: true}",
    ),
    "compressed files are read": Case(
        {"a.csv.gz": gzip.compress(b"id,t,u\n1,a,b\n2\n"), "b.csv": HEADED + "3,c,d\n"}, "id t u",
        [("1", "a", "b"), ("3", "c", "d")], ("2",),
    ),
    "another delimiter and a word for NULL": Case(
        {"a.csv": "id;t;u\n1;NA;x,y\n2;;NAN\n3;a\n"}, "id t u", [("1", None, "x,y"), ("2", None, "NAN")], ("3;a",),
        options="{header: true, sep: ';', nullValue: NA}",
    ),
    "columns are found by name where the headers of files differ": Case(
        {
            "1.csv": HEADED + "1,a,b\n", "2.csv": "u,id,t\nb2,2,a2\n", "3.csv": "ID,T\n3,a3\n", "4.csv": "id,more\n4,m\n",
            "5.csv": "id\n5\n", "6.csv": HEADED + "6\n",
        },
        "id t u more",
        [("1", "a", "b", None), ("2", "a2", "b2", None), ("3", "a3", None, None), ("4", None, None, "m"),
         ("5", None, None, None)],
        ("6",),
    ),
    "columns are found by name below blank lines, comments and a byte order mark": Case(
        {
            "1.csv": "\nid,t\n1,a\n", "2.csv": "\nt,id\nb,2\n", "3.csv": "#x\n\nid,t\n3,c\n", "4.csv": "#x\n\nt,id\nd,4\n",
            "5.csv": b"\xef\xbb\xbft,id\ne,5\n",
        },
        "id t", [("1", "a"), ("2", "b"), ("3", "c"), ("4", "d"), ("5", "e")],
        options="{HEADER: 'True', comment: '#'}",
    ),
    "files without rows are no rows": Case(
        {"1.csv": HEADED + "1,a,b\n", "2.csv": "", "3.csv": HEADED, "4.csv": "\n\n", "5.csv.gz": gzip.compress(b"")},
        "id t u", [("1", "a", "b")],
    ),
    "a name that stands twice in the header is numbered, an empty one is named by its place": Case(
        {"a.csv": "id,id,,t\n1,2,3,a\n"}, "id0 id1 _c2 t", [("1", "2", "3", "a")],
    ),
    "without a header columns are numbered": Case(
        {"1.csv": "\n", "2.csv": "1,a\n2,b\n3\n", "3.csv": "4,d\n5,e,f\n"}, "_c0 _c1", [("1", "a"), ("2", "b"), ("4", "d")],
        ("3", "5,e,f"), options="{header: false}",
    ),
    "names of files are taken as they are": Case(
        {f"{name}.csv": f"id\n{index}\n" for index, name in enumerate(
            ["a b", "a%20b", "a+b", "[x]", "{y}", "{y,z}", "a*b", "a?b", "a,b", "a#b", "é", "a'b", "$HOME", "~"])},
        "id", [(str(index),) for index in range(14)], path="",
    ),
    "names of files in a pattern are taken as they are": Case(
        {"a b.csv": "id\n0\n", "[x].csv": "id\n1\n", "{y}.csv": "id\n2\n", "a*b.csv": "id\n3\n", "not.txt": "id\n4\n"},
        "id", [("0",), ("1",), ("2",), ("3",)], path="*.csv",
    ),
    "one file whose name looks like a pattern": Case(
        {"[x].csv": "id\n1\n", "x.csv": "id\n2\n"}, "id", [("1",)], path="[x].csv",
    ),
    "markers and hidden files are not data, whether listed or matched by a pattern": Case(
        {"a.csv": "id\n1\n", "_SUCCESS": "", "_log": "x\ny\n", ".part.csv": "id\n2\n", "b.csv._COPYING_": "id\n3\n"},
        "id", [("1",)],
    ),
    "names of directories are columns, as text": Case(
        {"day=01/a.csv": "id\n1\n", "day=2/a.csv": "id\n2\n", "day=2/b.csv": "id\n3,4\n"}, "id day",
        [("1", "01"), ("2", "2")], ("3,4",), path="",
    ),
    "another encoding is decoded": Case(
        {"a.csv": HEADED.encode() + "1,é,ß\n2\n".encode("latin-1")}, "id t u", [("1", "é", "ß")], ("2",),
        options="{header: true, encoding: ISO-8859-1}",
    ),
    "an encoding of two bytes is decoded with multiLine": Case(
        {"1.csv": "id,t\n1,Ċ\n".encode("utf-16"), "2.csv": "t,id\nb,2\n".encode("utf-16")}, "id t", [("1", "Ċ"), ("2", "b")],
        options="{header: true, multiLine: true, encoding: UTF-16}",
    ),
    "a column may be called _file": Case(
        {"1.csv": "id,_file\n1,x\n", "2.csv": "id\n2\n"}, "id _file", [("1", "x"), ("2", None)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CSV)
def test_csv(place, name):
    judged(place, CSV[name], "csv")


def test_csv_headers_of_several_lines_are_told_apart(place):
    place.put({"1.csv": '"i\nd",t\n1,a\n', "2.csv": '"i\nd",u\n2,b\n'})
    assert place.run(input="options: {header: true, multiLine: true}").exit_code == 0
    assert place.passed("i\nd", "t", "u") == [("1", "a", None), ("2", None, "b")]


def lines(*texts: str) -> str:
    return "\n".join(texts)


JSON = {
    "a line is one object, or malformed": Case(
        {"a.json": lines(
            '{"a":1,"b":"x"}', "", "   ", '{"a":2,', '[{"a":3},{"a":4}]', "[]", "null", "5", '"s"', '{"a":5}{"a":6}',
            '{"a":7} trailing', '{"a":8},{"a":9}', '{"a":10}],[{"a":11}', "{c:1}", "}", '{"a":1\x01}', "{}",
        )},
        "a b", [("1", "x"), (None, None)],
        ('{"a":2,', '[{"a":3},{"a":4}]', "[]", "null", "5", '"s"', '{"a":5}{"a":6}', '{"a":7} trailing', '{"a":8},{"a":9}',
         '{"a":10}],[{"a":11}', "{c:1}", "}", '{"a":1\x01}'),
        options="{}",
    ),
    "values of one field may have different types and are kept as text": Case(
        {"a.json": lines(
            '{"a":"text"}', '{"a":12345678901234567890123}', '{"a":1.5}', '{"a":true}', '{"a":null,"b":"0"}',
            '{"a":{"y":1, "z":[1,"t",{}]}}', '{"a":[1, null]}', '{"a":""}', '{"a":"\\u00e9\\n\\""}', '{"b":"1"}',
        )},
        "a b",
        [("text", None), ("12345678901234567890123", None), ("1.5", None), ("true", None), (None, "0"),
         ('{"y":1,"z":[1,"t",{}]}', None), ("[1,null]", None), ("", None), ('é\n"', None), (None, "1")],
        options="{}",
    ),
    "a byte order mark and carriage returns are not part of values": Case(
        {"a.json": b'\xef\xbb\xbf{"a":"\xc3\xa9"}\r\n{"a":"b"}\r\n[\r\n'}, "a", [("é",), ("b",)], ("[",), options="{}",
    ),
    "compressed files, and files with other fields": Case(
        {"a.json.gz": gzip.compress(b'{"a":"1"}\n'), "b.json": '{"b":"2"}', "c.json": ""}, "a b", [("1", None), (None, "2")],
        options="{}",
    ),
    "with multiLine a file is one object, or an array of them": Case(
        {
            "1.json": '[{"a":"1"},\n {"a":"2",\n "b":"x"}]\n', "2.json": '\n {"a":\n"3"}\n', "3.json": "[]",
            "4.json": '[{"a":"4"},null]', "5.json": '{"a":"5"}\n{"a":"6"}', "6.json": '[{"a":"7"}', "7.json": '[{"a":"8"},9]',
        },
        "a b", [("1", None), ("2", "x"), ("3", None), ("4", None)],
        ("null", '{"a":"5"}\n{"a":"6"}', '[{"a":"7"}', '[{"a":"8"},9]'), options="{multiLine: true}",
    ),
    "names of directories are columns, as text": Case(
        {"day=01/a.json": '{"a":"1"}\n', "day=2/a.json": '{"a":"2"}\n{\n'}, "a day", [("1", "01"), ("2", "2")], ("{",),
        options="{}", path="",
    ),
    "another encoding is decoded": Case(
        {"a.json": '{"a":"é"}\n'.encode("latin-1")}, "a", [("é",)], options="{encoding: ISO-8859-1}",
    ),
    "fields may be called like what the engine works with": Case(
        {"a.json": '{"value":"1","entry":"2","_file":"3","line":"4"}'}, "_file entry line value", [("3", "2", "4", "1")],
        options="{}",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", JSON)
def test_json(place, name):
    judged(place, JSON[name], "json")


def test_a_json_number_with_a_fraction_is_the_text_of_its_double(place):
    """Spark's parser gives no other; to keep more than 17 digits, a sender writes them as text."""
    place.put({"a.json": '{"a":1.10,"b":"1"}\n{"a":1e2,"b":"2"}\n{"a":0.1,"b":"3"}\n{"a":"1.10","b":"4"}\n'})
    place.run(input="options: {}", format="json")
    assert place.passed("b", "a") == [("1", "1.1"), ("2", "100.0"), ("3", "0.1"), ("4", "1.10")]


# types

INTEGER, DOUBLE, MONEY, EXACT, TRUTH, DAY, TIME, CLOCK = "abcdefgh"
TYPED = {
    INTEGER: "integer", DOUBLE: "double", MONEY: "decimal(5,2)", EXACT: "decimal(38,18)", TRUTH: "boolean", DAY: "date",
    TIME: "timestamp", CLOCK: "timestamp_ntz",
}  # fmt: skip


def both(
    year: int, month: int, day: int, hour: int = 0, minute: int = 0, micro: int = 0, *, behind: int = 5
) -> dict[str, Any]:
    """A time of New York, which is some hours behind UTC, and the same as a clock shows it."""
    clock = datetime(year, month, day, hour, minute, 0, micro)
    return {TIME: (clock + timedelta(hours=behind)).replace(tzinfo=UTC), CLOCK: clock}


def utc(*parts: int) -> dict[str, Any]:
    return {TIME: datetime(*parts, tzinfo=UTC)}  # type: ignore[misc,arg-type]


TEXTS: dict[str, dict[str, Any]] = {
    "abc": {},
    "517": {INTEGER: 517, DOUBLE: 517.0, MONEY: Decimal("517.00"), EXACT: Decimal(517)},
    "517.0": {DOUBLE: 517.0, MONEY: Decimal("517.00"), EXACT: Decimal(517)},
    " -7 ": {INTEGER: -7, DOUBLE: -7.0, MONEY: Decimal(-7), EXACT: Decimal(-7)},
    "1e3": {DOUBLE: 1000.0, EXACT: Decimal(1000)},
    "1.555": {DOUBLE: 1.555, EXACT: Decimal("1.555")},
    "1.5500": {DOUBLE: 1.55, MONEY: Decimal("1.55"), EXACT: Decimal("1.55")},
    "1000": {INTEGER: 1000, DOUBLE: 1000.0, EXACT: Decimal(1000), DAY: date(1000, 1, 1)},
    "2147483648": {DOUBLE: 2147483648.0, EXACT: Decimal(2147483648)},
    "0.123456789012345678": {DOUBLE: 0.123456789012345678, EXACT: Decimal("0.123456789012345678")},
    "0.1234567890123456789": {DOUBLE: 0.1234567890123456789},
    "1e400": {}, "1d": {}, "1.5f": {}, "0x1f": {}, "1_000": {}, "1,5": {}, "+": {}, ".": {}, "--": {},
    ".5": {DOUBLE: 0.5, MONEY: Decimal("0.5"), EXACT: Decimal("0.5")},
    "-Infinity": {DOUBLE: float("-inf")},
    "yes": {TRUTH: True}, "0": {INTEGER: 0, DOUBLE: 0.0, MONEY: Decimal(0), EXACT: Decimal(0), TRUTH: False}, "F": {TRUTH: False},
    "2013-02-30": {}, "2013-13-01": {}, "20130203": {INTEGER: 20130203, DOUBLE: 20130203.0, EXACT: Decimal(20130203)},
    "2013-02-03": {DAY: date(2013, 2, 3), **both(2013, 2, 3)},
    "2013-2-3": {DAY: date(2013, 2, 3), **both(2013, 2, 3)},
    "1500-02-28": {DAY: date(1500, 2, 28), CLOCK: datetime(1500, 2, 28)},
    "2013-02-03 00:00:00": {DAY: date(2013, 2, 3), **both(2013, 2, 3)},
    "2013-02-03 10:30:00": both(2013, 2, 3, 10, 30),
    "2013-02-03 10:30": both(2013, 2, 3, 10, 30),
    "2013-07-03T10:30:00": both(2013, 7, 3, 10, 30, behind=4),
    "2013-02-03 05:00:00.123456": both(2013, 2, 3, 5, micro=123456),
    "2013-02-03 05:00:00.123456000": both(2013, 2, 3, 5, micro=123456),
    "2013-02-03 05:00:00.123456789": {},
    "2013-02-03 garbage": {}, "2013-02-03 10:30:00 garbage": {}, "2013-02-03T24:00:00": {}, "2013-02-03Z": {},
    "12:30": {}, "12:30:00": {}, "T12:30": {}, "now": {}, "epoch": {}, "0000-00-00": {},
    "2013-02-03T05:00:00Z": utc(2013, 2, 3, 5),
    "2013-02-03 05:00:00+02:00": utc(2013, 2, 3, 3),
    "2013-02-03 05:00:00.5 -05:00": utc(2013, 2, 3, 10, 0, 0, 500000),
    "2013-02-03 05:00:00 Europe/Berlin": utc(2013, 2, 3, 4),
    # 02:30 of that night was skipped: it is read by the clock that was not put forward yet
    "2013-03-10 02:30:00": both(2013, 3, 10, 2, 30),
    # 01:30 of that night came twice: it is the first
    "2013-11-03 01:30:00": both(2013, 11, 3, 1, 30, behind=4),
}  # fmt: skip


def same(found: Any, expected: Any) -> bool:
    return type(found) is type(expected) and found == expected


def test_a_text_is_a_value_of_its_type_or_has_the_type_as_its_reason(place):
    rows = [",".join(f'"{text}"' for _ in range(len(TYPED) + 1)) for text in TEXTS]
    place.put({"a.csv": "\n".join([",".join(["text", *TYPED]), *rows]) + "\n"})
    columns = "columns:\n" + "\n".join(f"  {name}: {{type: '{kind}'}}" for name, kind in TYPED.items())
    result = place.run(input="options: {header: true}\ntimezone: America/New_York", top=columns)
    assert result.data["rows"]["input"] == len(TEXTS)
    place.conserves(len(TEXTS))
    # no text is of all types
    assert place.reasons("text") == {
        text: [f"{name}.type" for name in TYPED if name not in values] for text, values in TEXTS.items()
    } | {"1000": ["c.type", "e.type"]} | {
        "1500-02-28": [f"{name}.type" for name in (INTEGER, DOUBLE, MONEY, EXACT, TRUTH)]
    }
    for row in place.rows("quarantine"):
        for name, value in TEXTS[row["text"]].items():
            assert same(row[name], value), (row["text"], TYPED[name], row[name])
        shown = {failure["column"]: failure["value"] for failure in row["_quality"]["failures"]}
        assert all(row[name] is None and value == row["text"] for name, value in shown.items())


def test_a_type_that_left_the_rule_file_stays_and_its_misfits_have_a_reason(place):
    place.put({"1.csv": "id,n\n1,5\n", "2.csv": "id,n\n2,6\n3,six\n4\n5,\n"})
    typed = place.run(
        "- required: id", input="options: {header: true}", path="1.csv", top="columns: {n: {type: integer}}"
    )
    assert typed.exit_code == 0
    again = place.run("- required: id", batch="c", input="options: {header: true}", path="2.csv")
    assert again.exit_code == 1
    assert [column["type"] for column in place.record("c")["columns"]] == ["string", "int"]
    assert place.passed("id", "n", batch="c") == [("2", 6), ("5", None)]
    found = {row["id"]: (row["n"], *row["_quality"]["failures"]) for row in place.rows("quarantine", "c")}
    assert {id: (n, reason["rule"], reason["value"]) for id, (n, reason) in found.items()} == {
        "3": (None, "n.type", "six"),
        None: (None, "malformed", "4"),
    }


# typed formats


def parquet(**columns: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


def orc_bytes(**columns: Any) -> bytes:
    sink = io.BytesIO()
    orc.write_table(pa.table(columns), sink)
    return sink.getvalue()


WRITERS = {"parquet": parquet, "orc": orc_bytes}
KEPT: dict[str, Any] = {
    "big": pa.array([2**53 + 1, -(2**63)]),
    "exact": pa.array([Decimal("12345678901234567890.123456789012345678"), None], pa.decimal128(38, 18)),
    "old": pa.array([date(1500, 2, 28), date(1, 1, 1)]),
    "nested": pa.array([{"x": 1, "y": ["p", None]}, {"x": None, "y": []}]),
    "map": pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int64())),
    "bytes": pa.array([b"\x00\xff", b""]),
    "zero": pa.array([-0.0, 1e-300]),
    "a b.c": pa.array(["é\n", ""]),
}
TIMES: dict[str, Any] = {
    "zoned": pa.array(
        [datetime(2013, 1, 1, 5, 0, 0, 123456), datetime(1500, 1, 1, 0, 0, 0, 1)], pa.timestamp("us", "UTC")
    ),
    "clock": pa.array([datetime(2013, 3, 31, 2, 30, 0, 123456), datetime(1, 1, 1)], pa.timestamp("us")),
}


@pytest.mark.parametrize("format", WRITERS)
def test_values_of_typed_formats_come_out_as_they_went_in(place, format):
    # Spark's ORC drops what follows a backtick in a name
    columns = {**KEPT, **TIMES} if format == "orc" else {**KEPT, **TIMES, "`d``": KEPT["big"]}
    place.put({"a": parquet(**columns)})
    if format == "orc":
        # other writers of ORC leave open which calendar their old dates are in
        frame = place.spark.read.parquet(str(place.directory / "in" / "a"))
        frame.write.orc(str(place.directory / "orc"))
        (place.directory / "in" / "a").unlink()
        (place.directory / "in").rmdir()
        (place.directory / "orc").rename(place.directory / "in")
    place.run("- {name: positive, that: 'big > 0'}", format=format, input="options: {}")
    place.conserves(2)
    wanted = pa.table(columns).to_pylist()
    assert str(place.rows("passed")) == str(wanted[:1])
    (bad,) = place.rows("quarantine")
    assert bad.pop("_quality")["failures"][0]["rule"] == "positive"
    assert str([bad]) == str(wanted[1:])


@pytest.mark.parametrize("format", WRITERS)
def test_a_column_that_only_some_files_have_is_null_in_the_others(place, format):
    write = WRITERS[format]
    place.put({"1": write(a=[1], b=["x"]), "2": write(a=[2], c=[1.5]), "3": write(A=[3])})
    assert place.run(format=format, input="options: {}").exit_code == 0
    assert place.passed("a", "b", "c") == [(1, "x", None), (2, None, 1.5), (3, None, None)]


@pytest.mark.parametrize("format", WRITERS)
def test_a_column_of_two_types_is_refused(place, format):
    write = WRITERS[format]
    place.put({"1": write(a=pa.array([1], pa.int32())), "2": write(a=pa.array([2**53 + 1], pa.int64()))})
    refused(place, 'Failed to merge incompatible data types "INT" and "BIGINT"', format=format, input="options: {}")


def test_names_of_directories_are_columns_of_typed_formats(place):
    place.put({"day=1/a": parquet(a=[1]), "day=2/a": parquet(a=[2]), "_x=3/a": parquet(a=[3])})
    refused(place, "Conflicting partition column names", format="parquet", path="")
    (place.directory / "in" / "_x=3" / "a").unlink()
    place.run(format="parquet", path="")
    assert place.passed("a", "day") == [(1, 1), (2, 2)]


# what cannot be read


def refused(place: Place, words: str, **how: Any) -> None:
    """The run ends with 3 and one line, and nothing is committed."""
    result = place.run(**how)
    assert result.exit_code == 3
    assert words in result.data["message"]
    assert "\n" not in result.data["message"]
    assert not (place.root / "commits").exists()


@pytest.mark.parametrize("name", ("_quality", "__quality_x", "__Quality_malformed_line"))
@pytest.mark.parametrize("format", ("csv", "json", "parquet"))
def test_a_column_the_engine_needs_is_refused(place, name, format):
    content = {"csv": f"id,{name}\n1,2\n", "json": json.dumps({"id": 1, name: 2}), "parquet": parquet(**{name: [1]})}
    place.put({"a": content[format]})
    refused(
        place, f"the input has a column '{name}', a name the engine needs for what it adds; rename it in the input",
        format=format, input="options: {header: true}",
    )  # fmt: skip


TRUNCATED = gzip.compress(b"id,t\n" + os.urandom(50_000).hex().encode() + b",x\n")[:30_000]
PAGES = parquet(a=list(range(1000)))
UNREADABLE: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "no file": ({"b.csv": "id\n1\n"}, {"path": "a*.csv"}, "no file matches"),
    "a directory that is empty": ({"b.csv": "id\n1\n"}, {"path": "nothing/here/"}, "no file matches"),
    "a file that Spark hides": ({"_a.csv": "id\n1\n"}, {"path": "_a.csv"}, "_a.csv: Spark reads no file whose name begins"),
    "gzip that ends too early": ({"a.csv.gz": TRUNCATED}, {}, "Unexpected end of input stream"),
    "Parquet without its end": ({"a": PAGES[:-9]}, {"format": "parquet"}, "in/a is not a Parquet file"),
    "Parquet with a page of zeros": (
        {"a": PAGES[:100] + bytes(200) + PAGES[300:]}, {"format": "parquet", "text": "- between: {column: a, range: [0, 9]}"},
        "in/a: ",
    ),
    "no Parquet at all": ({"a": "id,t\n1,2\n"}, {"format": "parquet"}, "in/a is not a Parquet file"),
    "no ORC at all": ({"a": "id,t\n1,2\n" * 9}, {"format": "orc"}, "Malformed ORC file"),
    "rows that another look would not find": (
        {"a": parquet(a=[1], d=[datetime(2020, 1, 1)])}, {"format": "parquet", "input": "where: \"d < 'tomorrow'\""},
        "'where': 'tomorrow' as a date or time depends on the clock",
    ),
    "no column anywhere": ({"a.csv": "\n"}, {}, "there is no column, and none is declared"),
    "only broken lines of JSON": ({"a": "x\n"}, {"format": "json"}, "there is no column, and none is declared"),
    "lines of two bytes": (
        {"a": "id\n1\n".encode("utf-16")}, {"input": "options: {header: true, encoding: UTF-16}"}, "set the option 'multiLine",
    ),
    "fields that differ in case": ({"a": '{"a":1}\n{"A":2}\n'}, {"format": "json"}, "'A' and 'a' differ only in case"),
    "a column in files and directories": (
        {"day=1/a": "id,Day\n1,2\n"}, {"path": ""}, "'day' is in the files and in the names of their directories",
    ),
    "partitions below a pattern": ({"x/day=1/a": "id\n1\n"}, {"path": "*"}, "is a partition, and its column would be lost"),
}  # fmt: skip


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_cannot_be_read_is_said_in_one_line(place, name):
    files, how, words = UNREADABLE[name]
    place.put(files)
    refused(place, words, **{"input": "options: {header: true}", **how})


def test_an_option_that_would_make_a_broken_file_vanish_is_refused(place):
    place.put({"1.csv.gz": TRUNCATED, "2.csv": "id,t\n1,2\n"})
    with pytest.raises(RuleFileError, match="a skipped file is rows that nobody counts") as caught:
        place.run(input="options: {header: true, ignoreCorruptFiles: true, IGNOREMISSINGFILES: true}")
    assert len(caught.value.problems) == 2


def rewrite(path: Path) -> None:
    path.write_text("id,t\n9,z\n", encoding="utf-8")
    os.utime(path, (1, 1))


CHANGES = {
    "grows": lambda folder: (folder / "1.csv").write_text("id,t\n1,a\n2,b\n", encoding="utf-8"),
    "is replaced by as many bytes": lambda folder: rewrite(folder / "1.csv"),
    "gets one more file": lambda folder: (folder / "2.csv").write_text("id,t\n2,b\n", encoding="utf-8"),
}


@pytest.mark.parametrize("moment", ("measuring", "splitting and writing rows"))
@pytest.mark.parametrize("change", CHANGES)
def test_an_input_that_changes_during_the_run_is_not_published(place, change, moment):
    place.put({"1.csv": "id,t\n1,a\n"})

    def meddle(words: str) -> None:
        if words.endswith(moment):
            CHANGES[change](place.directory / "in")

    refused(place, "while it was read", input="options: {header: true}", progress=meddle)


def test_a_file_that_is_gone_during_the_run_is_said(place):
    place.put({"1.csv": "id,t\n1,a\n"})

    def meddle(words: str) -> None:
        if words.endswith("measuring"):
            (place.directory / "in" / "1.csv").unlink()

    refused(place, "1.csv", input="options: {header: true}", progress=meddle)


# several places, tables


def test_overlapping_paths_read_each_file_once(place):
    place.put({"x/1.csv": "id\n1\n", "x/2.csv": "id\n2\n", "y/3.csv": "id\n3\n"})
    folder = place.directory / "in"
    paths = json.dumps(
        [str(folder / "x"), str(folder / "*" / "1.csv"), str(folder / "y" / "3.csv"), f"{folder}//x/2.csv"]
    )
    place.run(input=f"path: {paths}\noptions: {{header: true}}")
    assert place.passed("id") == ["1", "2", "3"]


def test_a_rule_sees_the_file_of_a_row(place):
    place.put({"1 é.csv": "id\n1\n", "2.csv": "t,id\nx,2\n3\n"})
    place.run("- {name: not from two, that: \"_file not like '%/2.csv'\"}", input="options: {header: true}")
    assert place.passed("id") == ["1"]
    assert place.reasons("id") == {"2": ["not-from-two"], None: ["malformed"]}


@pytest.fixture
def table(spark, tmp_path):
    frame = spark.range(10).selectExpr("id", "id % 2 as odd")
    frame.coalesce(1).write.option("path", str(tmp_path / "table")).saveAsTable("counted")
    yield "counted"
    spark.sql("drop table counted")


def test_a_table_is_read_by_name_and_filter(place, table):
    result = place.run("- above: {column: id, value: 2}", input=f"table: {table}\nwhere: odd = 1")
    assert (result.exit_code, place.passed("id"), list(place.reasons("id"))) == (1, [3, 5, 7, 9], [1])
    again = place.run("- above: {column: id, value: 2}", input=f"table: {table}\nwhere: odd = 1")
    assert again.unchanged
    place.spark.sql(f"insert into {table} values (11, 1)")
    assert (
        place.run("- above: {column: id, value: 2}", input=f"table: {table}\nwhere: odd = 1").data["rows"]["input"] == 6
    )


def test_a_table_that_is_not_there_is_said_with_the_nearest_name(place, table):
    refused(place, "there is no table count; did you mean 'counted'?", input="table: count")


def test_a_batch_without_rows_is_held_with_its_declared_columns(place):
    place.put({"1.csv": "", "2.csv": "id,n\n"})
    result = place.run("- required: id", input="options: {header: true}", top="columns: {n: {type: integer}}")
    assert (result.exit_code, result.data["status"], result.data["decision"]) == (4, "warning", "held")
    place.conserves(0)
    assert place.record()["columns"] == [{"name": "id", "type": "string"}, {"name": "n", "type": "int"}]
