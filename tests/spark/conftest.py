"""One Spark session for all tests that need one: ours, with Deequ, two cores, bound to loopback."""

from __future__ import annotations

import pytest

from quality.backends.session import session


@pytest.fixture(scope="session")
def spark():
    settings = {"spark.sql.shuffle.partitions": "2", "spark.driver.memory": "2g"}
    with session(master="local[2]", extra=settings) as own:
        yield own.spark
