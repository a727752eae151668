"""Small batches: few jobs, nothing left behind in the session, and what is done without a job says what Spark would."""

from __future__ import annotations

import datetime as dt
import io
import math
import threading
import time
from contextvars import ContextVar
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from quality.backends import sizing
from quality.backends.beside import beside
from quality.backends.headers import header_names
from quality.backends.parquet_bytes import parquet_bytes
from quality.backends.pinning import PinnedFile
from quality.backends.reading import Batch
from quality.checks import KeyPass, RowCheck
from quality.keys import KeyCounter
from quality.model import Column
from quality.rows import duplicates, failing_sql
from quality.rule_types.base import Row
from tests.written import Place

CSV = {"input": "options: {header: true}"}
RULES = "- above: {column: n, value: 1}\n- unique: t\n- mean: {column: n, at_least: 0}"
TYPED = "columns: {n: {type: integer}}"


def ten_bytes(session):
    return Batch(session.range(3).toDF("n"), (), Row((), {}, "UTC"), True, (PinnedFile("x", 10, "1"),))


@pytest.fixture
def place(spark, tmp_path):
    return Place(tmp_path, spark)


def test_a_small_batch_takes_few_jobs_and_no_shuffle(place):
    place.put({"a.csv": "n,t\n1,a\n2,b\n", "b.csv": "t,n\nb,3\nc,4\n"})
    result = place.run(RULES, top=f"{TYPED}\noutputs: {{root: {place.root}}}", **CSV)
    assert place.passed("n") == [4]
    assert place.reasons("n") == {1: ["n.above"], 2: ["t.unique"], 3: ["t.unique"]}
    # metrics, keys, passed and quarantine, each after the keys it is joined with, samples
    assert result.data["passes"]["actual"]["jobs"] == 7
    assert result.data["passes"]["actual"]["shuffles"] == 0


def test_settings_for_a_small_batch_end_with_it(place):
    session = place.spark.newSession()
    session.conf.set("spark.sql.adaptive.enabled", "true")
    place.put({"a.csv": "n\n1\n"})
    with sizing.sized(session, ten_bytes(session)) as small:
        assert small.small
        assert small.frame.rdd.getNumPartitions() == 1
        assert session.conf.get("spark.sql.adaptive.enabled") == "false"
        assert session.conf.get("spark.sql.codegen.factoryMode") == "NO_CODEGEN"
    assert session.conf.get("spark.sql.adaptive.enabled") == "true"
    assert session.conf.get("spark.sql.codegen.factoryMode") != "NO_CODEGEN"


@pytest.mark.parametrize(("setting", "small"), ((None, True), ("10", True), ("9", False), ("0", False)))
def test_what_is_small_is_a_setting(spark, setting, small):
    session = spark.newSession()
    if setting:
        session.conf.set(sizing.SMALL_BATCH, setting)
    with sizing.sized(session, ten_bytes(session)) as fitted:
        assert fitted.small is small


def test_a_table_of_unknown_size_is_not_small(spark):
    with sizing.sized(spark, replace(ten_bytes(spark), snapshot="7")) as fitted:
        assert not fitted.small


@pytest.mark.parametrize(("rows", "small"), ((500_000, True), (500_001, False)))
def test_many_rows_in_few_bytes_are_not_small(spark, tmp_path, rows, small):
    path = tmp_path / "ones.parquet"
    pq.write_table(pa.table({"n": pa.array([1]).take(pa.array([0] * rows))}), path)
    assert path.stat().st_size < 100_000
    found = replace(ten_bytes(spark), text=False, files=(PinnedFile(path.as_uri(), path.stat().st_size, "1"),))
    with sizing.sized(spark, found) as fitted:
        assert fitted.small is small
        # interpreting is for fewer rows yet
        assert spark.conf.get("spark.sql.codegen.factoryMode") != "NO_CODEGEN"


def test_files_that_have_no_such_footer_are_not_small(spark, tmp_path):
    (tmp_path / "a.orc").write_bytes(b"ORC, not Parquet")
    found = replace(ten_bytes(spark), text=False, files=(PinnedFile((tmp_path / "a.orc").as_uri(), 16, "1"),))
    with sizing.sized(spark, found) as fitted:
        assert not fitted.small


HEADERS: tuple[tuple[str, dict[str, str]], ...] = (
    ("a,b,c", {}),
    ('"a,1", b ,"say ""x"""', {"escape": '"'}),
    ("a,,b,", {}),
    ("a,A,a", {}),
    ("Überschrift;名前;x", {"sep": ";"}),
    ("a\tb", {"sep": "\t"}),
    (" a , b ", {"ignoreLeadingWhiteSpace": "true", "ignoreTrailingWhiteSpace": "true"}),
    ("a||b", {"delimiter": "||"}),
    ("NA,b", {"nullValue": "NA"}),
    ("x", {"header": "false"}),
)


@pytest.mark.parametrize(("line", "options"), HEADERS)
def test_the_names_of_a_header_are_those_that_spark_gives(spark, tmp_path, line, options):
    (tmp_path / "a.csv").write_text(f"{line}\n1\n", encoding="utf-8")
    given = {"header": "true", **options}
    found = header_names(spark, given, line)
    assert found == spark.read.options(**given).csv(str(tmp_path / "a.csv")).columns
    assert found


def test_rows_become_a_parquet_file_without_a_job(spark):
    schema = (
        "a string, b bigint, c double, t timestamp, tags array<string>, m map<string,string>, "
        "k struct<format:string,version:int,bytes:binary>, yes boolean"
    )
    full = {
        "a": "x\n\u2028y ü 😀", "b": 2**62, "c": math.inf, "t": "2024-01-31T08:00:00.123456Z", "tags": ["a", None, "é"],
        "m": {"p": "q", "": None}, "k": {"format": "f", "version": 3}, "yes": True,
    }  # fmt: skip
    spark.sparkContext.setJobGroup("bytes", "")
    data = parquet_bytes(spark, schema, [full, {}, {"a": "", "b": -1, "c": -0.5, "tags": [], "m": {}, "k": {}}])
    assert list(spark.sparkContext.statusTracker().getJobIdsForGroup("bytes")) == []
    table = pq.read_table(io.BytesIO(data))
    moment = dt.datetime(2024, 1, 31, 8, 0, 0, 123456, tzinfo=dt.timezone.utc)
    none = dict.fromkeys(table.column_names)
    assert table.to_pylist() == [
        {**full, "t": moment, "m": [("p", "q"), ("", None)], "k": {"format": "f", "version": 3, "bytes": None}},
        none,
        {**none, "a": "", "b": -1, "c": -0.5, "tags": [], "m": [], "k": dict.fromkeys(("format", "version", "bytes"))},
    ]
    assert table.schema.field("t").type == pa.timestamp("us", "UTC")
    assert pq.ParquetFile(io.BytesIO(data)).metadata.row_group(0).column(0).compression == "ZSTD"
    assert math.isnan(pq.read_table(io.BytesIO(parquet_bytes(spark, "c double", [{"c": math.nan}])))["c"][0].as_py())
    assert pq.read_table(io.BytesIO(parquet_bytes(spark, "c double", []))).num_rows == 0


class TestBeside:
    """Small jobs one beside the other."""

    def test_they_run_at_once_and_answer_in_their_order(self, spark):
        met = threading.Barrier(2, timeout=60)

        def work(number):
            met.wait()
            return spark.range(number).count()

        assert beside(spark, [lambda: work(3), lambda: work(5)]) == [3, 5]

    def test_they_see_what_their_caller_set(self, spark):
        session, told = spark.newSession(), ContextVar("told", default="nothing")
        session.conf.set("spark.sql.session.timeZone", "Asia/Tokyo")
        told.set("something")
        spark.sparkContext.setLocalProperty("quality.test", "mine")

        def work():
            # an expression is parsed and evaluated by the settings of the session of the thread
            zone = spark._jvm.SparkSession.active().conf().get("spark.sql.session.timeZone")
            return zone, told.get(), spark.sparkContext.getLocalProperty("quality.test")

        try:
            assert beside(session, [work, work]) == [("Asia/Tokyo", "something", "mine")] * 2
        finally:
            spark.sparkContext.setLocalProperty("quality.test", None)

    def test_an_error_waits_for_the_others_to_end(self, spark):
        ended = []

        def fails():
            raise ValueError("the first")

        def takes_longer():
            time.sleep(0.5)
            ended.append(True)

        with pytest.raises(ValueError, match="the first"):
            beside(spark, [fails, takes_longer])
        assert ended


@pytest.mark.parametrize("suspect", ("1 / n > 0", "raise_error(t) is null"))
def test_a_rule_that_fails_while_keys_are_counted_beside_it_fails_alone(place, suspect):
    place.put({"a.csv": "n,t\n0,a\n2,b\n2,b\n"})
    rules = f'- unique: t\n- {{name: suspect, that: "{suspect}"}}\n- {{unique: n, where: "{suspect}"}}'
    result = place.run(rules, top=f"{TYPED}\noutputs: {{root: {place.root}}}", **CSV)
    told = {rule["id"]: (rule["status"], rule["failed_rows"]) for rule in result.data["rules"]}
    assert told["t.unique"] == ("failed", 2)
    assert result.data["rows"]["input"] == 3
    if "raise_error" in suspect:
        assert told["suspect"][0] == told["n.unique"][0] == "error"


KEYS = """\
select * from values
  (1, 'é ', 1.10, double('-0.0'), timestamp '1500-02-03 04:05:06.000007', date '1500-02-03', x'00ff', array(1, null)),
  (2, 'é ', 1.10, double('0.0'), timestamp '1500-02-03 04:05:06.000007', date '1500-02-03', x'00ff', array(1, null)),
  (3, 'é', 1.11, double('NaN'), timestamp '1500-02-03 04:05:06.000008', date '1500-02-04', x'00', array(1)),
  (4, 'é', 1.12, double('NaN'), null, null, null, null),
  (5, null, null, null, null, null, null, null)
  as t(id, text, amount, number, moment, day, bytes, list)
"""
#: The rows whose key another row has.
DOUBLED = {
    ("text",): [1, 2, 3, 4], ("amount",): [1, 2], ("number",): [1, 2, 3, 4], ("moment",): [1, 2], ("day",): [1, 2],
    ("bytes",): [1, 2], ("list",): [1, 2], ("text", "number"): [1, 2, 3, 4], ("text", "list"): [1, 2], ("number", "moment"): [1, 2],
    ("id",): [], ("id", "text"): [],
}  # fmt: skip


@pytest.mark.parametrize("names", DOUBLED, ids=" ".join)
def test_doubled_keys_of_every_type_are_found_in_one_reading(spark, names):
    frame = spark.sql(KEYS).coalesce(1)
    columns = tuple(Column(field.name, field.dataType.simpleString()) for field in frame.schema.fields)
    batch = Batch(frame, columns, Row(columns, {}, "UTC"), False, small=True)
    complete = " and ".join(f"{name} is not null" for name in names)
    key = KeyPass(names, names, complete)
    launched: list[int] = []
    found = KeyCounter(spark, launched.append, []).count(batch, key)
    assert launched == [0]
    assert found.duplicate_rows == len(DOUBLED[names])
    unasked: Any = None
    check = RowCheck(unasked, complete, "true", names[0], unasked, key)
    marked = duplicates(frame, [check], {key: found})
    rows = marked.joined.where(failing_sql(check, marked.markers)).collect()
    assert sorted(row.id for row in rows) == DOUBLED[names]
