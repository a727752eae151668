"""Views in the catalog that show the newest published batch of a data set, or its table as it is after the commit.

What `{{ table }}` in a query reads: with `outputs.table` in a format that has versions (iceberg, delta) that table, pinned to
the version it has by then; with a Parquet table that table; else the live files of the batch with the latest `batch_time`.

Every query is parsed and analysed before any view is touched. Then one view after another is replaced, each by one operation
of the catalog: a reader of one view sees the old or the new one, a reader of several may for a moment see some old and some
new. When one cannot be replaced, those before it are put back.
"""

from __future__ import annotations

from typing import Any

from pyspark.sql import SparkSession

from quality.backends.reading import reason
from quality.backends.schemas import literal_path
from quality.backends.tables import TableName
from quality.errors import Problem, RuleFileError, StorageError, UsageError
from quality.rule_types.rules import Outputs
from quality.sql import quote
from quality.storage import commit
from quality.storage.commit import CommitRecord, utc_text
from quality.storage.store import Store
from quality.targets.folders import folder_of
from quality.targets.session_catalog import SPARK_ERRORS, SessionCatalog, explained, quoted, session_name
from quality.targets.view_file import STAND_INS, View, read_views

Queries = list[tuple[View, str]]


def refuse_wrong_views(spark: SparkSession, path: str) -> None:
    """Raise RuleFileError with every mistake of a file of views, what Spark's parser finds included; UsageError when it
    cannot be read. Nothing is analysed: tables and columns may not be there yet."""
    catalog, problems = SessionCatalog(spark), []
    for view in read_views(path):
        try:
            catalog.parse_query(view.rendered(STAND_INS))
        except SPARK_ERRORS as error:
            problems.append(
                Problem(view.file, view.line, f"the query of {view.name} is not one query: {reason(error)}")
            )
    if problems:
        raise RuleFileError(problems)


class Views:
    """The views of a data set, each switched in one step, one after another."""

    def __init__(self, spark: SparkSession, store: Store, dataset: str, outputs: Outputs) -> None:
        self.spark, self.store, self.dataset, self.outputs = spark, store, dataset, outputs
        self.name = f"the views of {outputs.views}"
        self._catalog = SessionCatalog(spark)

    def follow(self, batch: str) -> None:
        while True:
            before = self._newest()
            if before is not None:
                self._switch(self._queries(before, self._table(before)))
            # another run may have been committed meanwhile: the last to switch must have seen it
            if self._newest() == before:
                return

    def foretell(self, record: CommitRecord) -> list[str]:
        """The statements that would switch the views, in their order."""
        others = [one for one in commit.live_records(self.store, self.dataset) if one.batch != record.batch]
        newest = max([*others, record], key=_age)
        versioned = self.outputs.table and self.outputs.format != "parquet"
        table = (
            f"{TableName.parse(self.outputs.table).sql} VERSION AS OF <the next>" if versioned else self._table(newest)
        )
        return [_statement(view, query) for view, query in self._queries(newest, table)]

    def _newest(self) -> CommitRecord | None:
        return max(commit.live_records(self.store, self.dataset), key=_age, default=None)

    def _queries(self, record: CommitRecord, table: str) -> Queries:
        words = {
            "table": table,
            "dataset": self.dataset,
            "run": record.run,
            "batch": record.batch,
            "batch_time": utc_text(record.batch_time),
            "run_time": utc_text(record.run_time),
        }
        try:
            return [(view, view.rendered(words)) for view in read_views(self.outputs.views)]
        except UsageError as error:
            # the file was read before the run, and has been changed since
            raise StorageError(str(error)) from error

    def _table(self, record: CommitRecord) -> str:
        """What a query reads from, as SQL."""
        table, kind = self.outputs.table, self.outputs.format
        if table and kind == "parquet":
            return session_name(table)
        if table:
            name = TableName.parse(table).sql
            version = self._version(name, kind)
            return f"{name} VERSION AS OF {version}" if version is not None else name
        if not record.passed:
            columns = ", ".join(f"CAST(NULL AS {column.type}) AS {quote(column.name)}" for column in record.columns)
            return f"(SELECT {columns} WHERE false)"
        return f"parquet.{quote(literal_path(self.store.uri(folder_of(self.store, record))))}"

    def _version(self, table: str, kind: str) -> Any:
        """The version of a table that is current; None for an Iceberg table into which nothing was written."""
        iceberg = f"SELECT snapshot_id FROM {table}.refs WHERE name = 'main'"
        rows = self._catalog.sql(
            iceberg if kind == "iceberg" else f"DESCRIBE HISTORY {table} LIMIT 1", f"table {table}"
        )
        return rows[0]["snapshot_id" if kind == "iceberg" else "version"] if rows else None

    def _switch(self, queries: Queries) -> None:
        before = {view.name: self._catalog.metadata(view.name) for view, _ in queries if self._check_schema(view)}
        changed = [(view, query) for view, query in queries if _text_of(before[view.name]) != query]
        for view, query in changed:
            self._analyse(view, query, before[view.name])
        done: list[View] = []
        for view, query in changed:
            try:
                self._catalog.sql(_statement(view, query), _place(view))
            except StorageError as error:
                kept = [self._put_back(one, before[one.name]) for one in reversed(done)]
                raise StorageError("; ".join([str(error), *kept])) from error
            done.append(view)

    def _check_schema(self, view: View) -> bool:
        if not self._catalog.has_database(view.schema):
            raise StorageError(f"{_place(view)}: there is no schema '{view.schema}'; it must be made first")
        return True

    def _analyse(self, view: View, query: str, metadata: Any) -> None:
        if metadata is not None and str(metadata.tableType().name()) != "VIEW":
            raise StorageError(f"{_place(view)}: is a table, and is not replaced by a view")
        with explained(_place(view)):
            self._catalog.parse_query(query)
            self.spark.sql(query)

    def _put_back(self, view: View, metadata: Any) -> str:
        """Make a view what it was; what came of it."""
        try:
            if metadata is None:
                self._catalog.sql(f"DROP VIEW IF EXISTS {quoted(view.schema, view.view)}", _place(view))
            else:
                self._catalog.put_back(metadata)
        except StorageError as error:
            return f"{view.name} could not be put back: {error}"
        return f"{view.name} was put back"


def _age(record: CommitRecord) -> tuple[Any, str]:
    return record.batch_time, record.batch


def _statement(view: View, query: str) -> str:
    return f"CREATE OR REPLACE VIEW {quoted(view.schema, view.view)} AS {query}"


def _place(view: View) -> str:
    return f"{view.file}:{view.line}: view {view.name}"


def _text_of(metadata: Any) -> str | None:
    """The query of a view, None for anything else."""
    text = metadata.viewText() if metadata is not None else None
    return str(text.get()).strip() if text is not None and text.isDefined() else None
