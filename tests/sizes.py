"""Batches of tests are small, and small ones are run another way than large ones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from quality.backends.sizing import SMALL_BATCH


@contextmanager
def as_large(spark: Any) -> Iterator[None]:
    """A few rows are run as millions are: in many tasks, with shuffles, with generated code."""
    spark.conf.set(SMALL_BATCH, "0")
    try:
        yield
    finally:
        spark.conf.unset(SMALL_BATCH)


@contextmanager
def in_size(spark: Any, size: str) -> Iterator[None]:
    """A few rows as they are (`small`), or run as millions are (`large`)."""
    if size == "small":
        yield
        return
    with as_large(spark):
        yield
