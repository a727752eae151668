"""What Spark itself counted of a run: jobs, and bytes that were shuffled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from py4j.protocol import Py4JError
from pyspark.sql import SparkSession

#: Events reach Spark's own books a moment after a job has ended.
_PATIENCE_MS = 1000


@dataclass(frozen=True)
class Executed:
    """What the jobs of a group did; `shuffle_bytes` is None where Spark does not tell."""

    jobs: int
    shuffle_bytes: int | None


def executed(spark: SparkSession, group: str) -> Executed:
    """Count the jobs of a job group and the bytes they wrote for shuffles."""
    context = spark.sparkContext
    try:
        cast("Any", context._jsc).sc().listenerBus().waitUntilEmpty(_PATIENCE_MS)
    except (Py4JError, TypeError):
        pass  # no public method: what is counted may lack the last stage
    tracker = context.statusTracker()
    jobs = tracker.getJobIdsForGroup(group)
    try:
        books = cast("Any", context._jsc).sc().statusStore()
        found = {stage for job in jobs for stage in getattr(tracker.getJobInfo(job), "stageIds", ())}
        # a stage whose output was there already is skipped, and in no book
        stages = [stage for stage in found if tracker.getStageInfo(stage)]
        return Executed(len(jobs), sum(int(books.lastStageAttempt(stage).shuffleWriteBytes()) for stage in stages))
    except (Py4JError, TypeError):
        return Executed(len(jobs), None)
