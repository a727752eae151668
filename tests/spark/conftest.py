"""One Spark session for all tests that need one: ours, with Deequ, Iceberg, Delta, Kafka and SQLite, two cores, bound to loopback."""

from __future__ import annotations

import pytest

from quality.backends.needs import merged, settings
from quality.backends.session import session
from tests.sizes import as_large


@pytest.fixture(scope="session")
def spark(tmp_path_factory):
    extra = {
        "spark.sql.shuffle.partitions": "2",
        "spark.driver.memory": "2g",
        # a catalog that is not named costs nothing
        "spark.sql.catalog.lake": "org.apache.iceberg.spark.SparkCatalog",
        "spark.sql.catalog.lake.type": "hadoop",
        "spark.sql.catalog.lake.warehouse": str(tmp_path_factory.mktemp("lake")),
        "spark.sql.warehouse.dir": tmp_path_factory.mktemp("warehouse").as_uri(),
        # the state of a small table, not that of a big one, in 50 tasks
        "spark.databricks.delta.snapshotPartitions": "2",
    }
    with session(master="local[2]", extra=merged(settings(["iceberg", "delta", "kafka", "sqlite"]), extra)) as own:
        yield own.spark


@pytest.fixture(scope="session")
def quick(spark):
    """The same Spark, interpreting instead of compiling: for tests with many small queries and hardly a row."""
    own = spark.newSession()
    own.conf.set("spark.sql.codegen.wholeStage", "false")
    own.conf.set("spark.sql.codegen.factoryMode", "NO_CODEGEN")
    return own


@pytest.fixture
def large(spark):
    """Small batches are run as large ones."""
    with as_large(spark):
        yield
