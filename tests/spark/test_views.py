"""Views over what is live: switched together or not at all, each in one step."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest

from quality import versions
from quality.errors import RuleFileError, StorageError
from quality.rule_types.rules import Outputs
from quality.storage.store import LocalStore
from quality.targets import targets
from quality.targets.views import Views, refuse_wrong_views
from tests.committed import committed
from tests.written import Place

TWO = """\
version: 1
views:
  - {schema: mart, view: rows, query: "SELECT n, '{{ batch }}' AS b, '{{ run }}' AS r FROM {{ table }} WHERE n > 0"}
  - {schema: mart, view: total, query: "SELECT count(*) AS n FROM {{ table }}"}
"""


@pytest.fixture
def store(tmp_path):
    return LocalStore(str(tmp_path / "ro[o]t {x}`y"))


@pytest.fixture
def mart(spark, tmp_path):
    spark.sql(f"CREATE DATABASE mart LOCATION '{tmp_path}/mart'")
    yield
    spark.sql("DROP DATABASE mart CASCADE")


@pytest.fixture
def views(spark, store, mart, tmp_path):
    """Makes the target of a file of views."""

    def make(text, **outputs):
        (tmp_path / "views.yml").write_text(text)
        return Views(spark, store, "d", Outputs(views=str(tmp_path / "views.yml"), **outputs))

    return make


def names(spark, database):
    """What is in the database; Spark lists the temporary views of the session with every one."""
    found = spark.sql(f"SHOW TABLES IN {database}").collect()
    return [row.tableName for row in found if not row.isTemporary]


def rows(spark, view):
    return sorted(tuple(row) for row in spark.table(view).collect())


def test_views_show_the_newest_published_batch(spark, store, views):
    target = views(TWO)
    committed(store, "new", [0, 7, 8], "2024-02", "2024-02-01T00:00:00Z")
    target.follow("2024-02")
    assert rows(spark, "mart.rows") == [(7, "2024-02", "new"), (8, "2024-02", "new")]
    # an older batch, published later, is not what a view shows
    committed(store, "old", [1], "2024-01", "2024-01-01T00:00:00Z")
    target.follow("2024-01")
    assert rows(spark, "mart.total") == [(3,)]
    committed(store, "wrong", [9], "2024-02", "2024-02-01T00:00:00Z")
    target.follow("2024-02")
    assert rows(spark, "mart.rows") == [(9, "2024-02", "wrong")]
    versions.rollback("d", "2024-02", root=store.root)
    target.follow("2024-02")
    assert rows(spark, "mart.total") == [(3,)]
    committed(store, "none", [], "2024-03", "2024-03-01T00:00:00Z")
    target.follow("2024-03")
    assert (rows(spark, "mart.rows"), rows(spark, "mart.total")) == ([], [(0,)])


def test_a_second_call_replaces_nothing(spark, store, views, monkeypatch):
    committed(store, "one", [1])
    target = views(TWO)
    target.follow("b")
    ran = []
    monkeypatch.setattr(target._catalog, "sql", lambda text, where: ran.append(text))
    target.follow("b")
    assert ran == []


def test_nothing_published_is_no_view(spark, store, views):
    views(TWO).follow("b")
    assert names(spark, "mart") == []


def test_one_wrong_query_leaves_every_view_as_it_was(spark, store, views, tmp_path):
    committed(store, "one", [1, 2])
    views(TWO).follow("b")
    committed(store, "two", {"m": pa.array([3], pa.int32())})
    with pytest.raises(StorageError) as error:
        views(TWO).follow("b")
    assert str(error.value).startswith(
        f"{tmp_path}/views.yml:3: view mart.rows: UNRESOLVED_COLUMN.WITH_SUGGESTION: A column"
    )
    assert rows(spark, "mart.rows") == [(1, "b", "one"), (2, "b", "one")]
    assert rows(spark, "mart.total") == [(2,)]


def test_when_a_view_cannot_be_replaced_those_before_it_are_put_back(spark, store, views, monkeypatch):
    committed(store, "one", [1, 2])
    views(TWO.partition("  - {schema: mart, view: total")[0]).follow("b")
    spark.sql("ALTER VIEW mart.rows SET TBLPROPERTIES ('owned by' = 'ann')")
    committed(store, "two", [3])
    third = '  - {schema: mart, view: third, query: "SELECT 1 AS one"}\n'
    target = views(TWO + third)
    sql = target._catalog.sql

    def refuse(statement, where):
        if "`third`" in statement:
            raise StorageError(f"{where}: the metastore went away")
        return sql(statement, where)

    monkeypatch.setattr(target._catalog, "sql", refuse)
    with pytest.raises(StorageError) as error:
        target.follow("b")
    file = target.outputs.views
    assert str(error.value) == (
        f"{file}:5: view mart.third: the metastore went away; mart.total was put back; mart.rows was put back"
    )
    assert rows(spark, "mart.rows") == [(1, "b", "one"), (2, "b", "one")]
    assert "owned by" in str(spark.sql("SHOW TBLPROPERTIES mart.rows").collect())
    assert names(spark, "mart") == ["rows"]


@pytest.mark.parametrize(
    ("made", "message"),
    (
        ("", "3: view nowhere.rows: there is no schema 'nowhere'; it must be made first"),
        (
            "CREATE TABLE mart.rows (n int) USING parquet",
            "3: view mart.rows: is a table, and is not replaced by a view",
        ),
    ),
)
def test_a_view_that_cannot_be_is_told_before_any_is_touched(spark, store, views, made, message):
    if made:
        spark.sql(made)
    target = views(TWO if made else TWO.replace("schema: mart, view: rows", "schema: nowhere, view: rows"))
    committed(store, "one", [1])
    with pytest.raises(StorageError) as error:
        target.follow("b")
    assert str(error.value) == f"{target.outputs.views}:{message}"
    assert "total" not in names(spark, "mart")


def test_a_folder_with_a_strangers_file_is_not_shown(spark, store, views):
    record = committed(store, "one", [1])
    store.put(record.passed[0].path.replace("part-00000", "part-x"), b"of a stranger")
    with pytest.raises(
        StorageError, match=r"part-x\.parquet: a folder that is read whole must hold .* is not of the commit"
    ):
        views(TWO).follow("b")


def test_a_dry_run_prints_the_statements(spark, store, views):
    committed(store, "one", [1])
    committed(store, "two", [2])
    target = views(TWO, table="spark_catalog.mart.t")
    change = versions.rollback("d", "b", root=store.root, dry_run=True)
    assert target.foretell(change.record) == [
        "CREATE OR REPLACE VIEW `mart`.`rows` AS SELECT n, 'b' AS b, 'one' AS r FROM mart.t WHERE n > 0",
        "CREATE OR REPLACE VIEW `mart`.`total` AS SELECT count(*) AS n FROM mart.t",
    ]
    assert names(spark, "mart") == []


def test_a_catalog_table_is_read_as_it_is(spark, store, views):
    committed(store, "one", [1], "a")
    committed(store, "two", [2, 3], "b")
    outputs = {"table": "mart.t", "format": "parquet"}
    target = views(TWO, **outputs)
    every = targets(target.outputs, store, "d", spark)
    assert [type(one).__name__ for one in every] == ["Manifest", "CatalogTable", "Views"]
    for batch in ("a", "b"):
        for one in every:
            one.follow(batch)
    assert rows(spark, "mart.total") == [(3,)]


@pytest.mark.parametrize(("kind", "table"), (("iceberg", "lake.views.t"), ("delta", "mart.versioned")))
def test_a_table_with_versions_is_pinned(spark, store, views, kind, table):
    committed(store, "one", [1, 2])
    target = views(TWO, table=table, format=kind)
    spark.sql(f"CREATE TABLE {table} (n int) USING {kind}")
    spark.sql(f"INSERT INTO {table} VALUES (1), (2)")
    target.follow("b")
    spark.sql(f"INSERT INTO {table} VALUES (3)")
    spark.catalog.refreshTable(table)
    assert rows(spark, "mart.total") == [(2,)]
    target.follow("b")
    assert rows(spark, "mart.total") == [(3,)]
    assert "VERSION AS OF <the next>" in target.foretell(committed(store, "two", [3]))[0]


def test_mistakes_that_only_a_parser_sees_come_before_anything_runs(spark, tmp_path):
    place = Place(tmp_path, spark)
    place.put({"a.csv": "n\n1\n"})
    (tmp_path / "views.yml").write_text(
        "version: 1\nviews:\n"
        "  - {schema: a, view: one, query: SELECT a b c}\n"
        "  - {schema: a, view: two, query: SELECT 1 AS a UNION INSERT INTO x SELECT 2}\n"
        "  - {schema: a, view: three, query: SELECT no_such_column FROM no_such_table}\n"
    )  # fmt: skip
    with pytest.raises(RuleFileError) as error:
        refuse_wrong_views(spark, str(tmp_path / "views.yml"))
    found = [str(problem).split(": ")[:2] for problem in error.value.problems]
    file = f"{tmp_path}/views.yml"
    assert found == [
        [f"{file}:3", "the query of a.one is not one query"],
        [f"{file}:4", "the query of a.two is not one query"],
    ]
    with pytest.raises(RuleFileError, match=r"views\.yml:3: the query of a\.one"):
        place.run(top=f"outputs: {{root: {json.dumps(str(place.root))}, views: views.yml}}")
    assert not place.root.exists()
