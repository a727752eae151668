"""Small jobs one beside the other: most of the time of each goes into planning it, which keeps one processor busy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, TypeVar, cast

from pyspark.sql import SparkSession
from pyspark.util import inheritable_thread_target

T = TypeVar("T")

#: Jobs at once: each takes a processor while it is planned.
_AT_ONCE = 4


def beside(spark: SparkSession, works: Sequence[Callable[[], T]]) -> list[T]:
    """What each gives, in their order, all of them at once. When some fail, all have ended before the first error is raised.
    They see the settings, the job group and the context variables of whoever calls."""
    if len(works) < 2:
        return [work() for work in works]
    with ThreadPoolExecutor(min(_AT_ONCE, len(works))) as pool:
        futures = [pool.submit(copy_context().run, inheritable_thread_target(_within(spark, work))) for work in works]
    return [cast("T", future.result()) for future in futures]


def _within(spark: SparkSession, work: Callable[[], T]) -> Callable[[], T]:
    def run() -> T:
        # text of SQL is parsed by the settings of whichever session is active in a thread of the JVM
        cast("Any", spark._jvm).SparkSession.setActiveSession(cast("Any", spark)._jsparkSession)
        return work()

    return run
