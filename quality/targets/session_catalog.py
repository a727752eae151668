"""The session catalog (a Hive metastore or Glue's catalog in production) by its own functions: what a table or view is,
without the text that DESCRIBE would make of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from quality.backends.reading import reason
from quality.errors import StorageError
from quality.sql import quote

SPARK_ERRORS = (PySparkException, Py4JError)
_OWN = "spark_catalog."


class SessionCatalog:
    """Tables and views of the session catalog. Names are `database.table`; every failure is a StorageError."""

    def __init__(self, spark: SparkSession) -> None:
        self.spark = spark
        state = spark._jsparkSession.sessionState()
        self._catalog: Any = state.catalog()
        self._parser: Any = state.sqlParser()

    def sql(self, statement: str, where: str) -> list[Any]:
        """Run a statement; `where` begins the message of what goes wrong."""
        with explained(where):
            return self.spark.sql(statement).collect()

    def metadata(self, name: str) -> Any:
        """What the catalog knows of a table or view (Spark's `CatalogTable`), None when there is none."""
        with explained(name):
            identifier = self._identifier(name)
            if not self._catalog.tableExists(identifier):
                return None
            return self._catalog.getTableMetadata(identifier)

    def parse_query(self, text: str) -> None:
        """Parse one query and nothing else: a command or a second statement is an error, as Spark raises it."""
        self._parser.parseQuery(text)
        # parseQuery stops where the query ends, whatever follows
        self._parser.parsePlan(text)

    def put_back(self, metadata: Any) -> None:
        """Make a table or view what it was when `metadata` was asked for, in one operation."""
        with explained(str(metadata.qualifiedName())):
            self._catalog.alterTable(metadata)

    def has_database(self, name: str) -> bool:
        """Whether there is a database of that name."""
        with explained(name):
            return bool(self._catalog.databaseExists(name))

    def _identifier(self, name: str) -> Any:
        return self._parser.parseTableIdentifier(name)


@contextmanager
def explained(where: str) -> Iterator[None]:
    """Turn what Spark says into a StorageError that begins with the place."""
    try:
        yield
    except SPARK_ERRORS as error:
        raise StorageError(f"{where}: {reason(error)}") from error


def session_name(name: str) -> str:
    """A name without the catalog that is the session's anyway."""
    return name.removeprefix(_OWN)


def quoted(*parts: str) -> str:
    """A name of several parts as SQL."""
    return ".".join(quote(part) for part in parts)
