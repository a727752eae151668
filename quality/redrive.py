"""Judges quarantined rows again by today's rules, as they are or as somebody corrected them, and passes those that pass.

A re-drive is a run of its batch. The batch as it stands (its passed rows, and its quarantined rows with the corrections in
place) is judged as a whole, so a key sees every row it could clash with and a metric every row it is about. Of the rows that
were asked for, those that pass move: the run has all passed files of the live run as copies, the rows that came back, and a
quarantine without them. Its commit record, one put-if-absent, makes both sides live at once, and with them its entry in the
ledger. Killed before, nothing happened; of two at once one loses; a second one finds nothing more to move. Passed rows stay
passed, whatever today's rules say of them: that is for a run of the batch to tell.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from quality import publishing, quarantine
from quality.backends.needs import needs
from quality.backends.parsing import refuse_unparsable
from quality.backends.reading import reason
from quality.backends.session import session
from quality.engine import Engine
from quality.errors import QualityError, UsageError
from quality.model import Decision
from quality.results import Context, Progress
from quality.returning import Redriven, Returning, Wishes
from quality.rule_types.base import epoch_micros, parse_moment
from quality.rule_types.rules import RuleSet
from quality.rulefile import load
from quality.runs import mentions_file
from quality.sensitive import withholding
from quality.storage import layout, readers
from quality.storage.commit import CommitRecord
from quality.storage.leases import Lease
from quality.storage.store import Store, open_store
from quality.versions import user

LOG = logging.getLogger("quality")


def redrive(
    rules: str | Path,
    *,
    batches: Sequence[str] = (),
    rule: str = "",
    since: str = "",
    corrected: str = "",
    root: str | None = None,
    input: str | None = None,
    dataset: str | None = None,
    references: Mapping[str, str] | None = None,
    variables: Mapping[str, Any] | None = None,
    allow_env: frozenset[str] = frozenset(),
    by: str | None = None,
    reason: str = "",
    dry_run: bool = False,
    spark: SparkSession | None = None,
    engine: str = "auto",
    conf: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> list[Redriven]:
    """Re-drive the open quarantined rows of these batches (of all when none is named), one batch after another.

    `rule`: only rows that failed it; `since`: only batches about that time or later; `corrected`: only the rows of this
    file, as they are there, of the one batch that is named; `input`, `dataset` and `references` take the place of what the file says, which a
    .dqdl file does not. UsageError before anything is judged; whatever happens to one
    batch is in its result and keeps the next from nothing.
    """
    if corrected and len(batches) != 1:
        raise UsageError("--corrected goes with one --batch: a row id says which row of a batch is meant")
    given: Any = {"variables": variables, "allow_env": allow_env, "root": root, "input_path": input}
    given |= {"dataset": dataset, "references": references}
    whole = load(rules, **given)
    if mentions_file(whole):
        raise UsageError(
            f"{whole.file}: rules ask for '_file', which quarantined rows do not keep; run the batches again"
        )
    oldest = _since(since, whole.input.timezone)
    wishes = Wishes(rule, corrected, by or user(), reason, dry_run)
    told = progress or (lambda _words: None)
    if spark is None:
        told("starting Spark")
    with session(spark, extra=conf, needs=needs([whole], conf)) as own:
        refuse_unparsable(own.spark, whole)
        store = open_store(whole.outputs.root, own.spark)
        readers.known_batches(store, whole.dataset)
        records = quarantine.live_records(store, whole.dataset, [layout.check_batch(batch) for batch in batches])
        connected, found = Engine(own.spark, engine), []
        for record in records:
            if oldest is None or record.batch_time >= oldest:
                rule_set = load(rules, batch=record.batch, run_time=datetime.now(timezone.utc), **given)
                found.append(_guarded(rule_set, connected, store, record, wishes, told))
        return found


def _since(text: str, zone: str) -> datetime | None:
    if not text:
        return None
    try:
        micros = epoch_micros(parse_moment(text), zone)
    except ValueError:
        raise UsageError(f"--since takes a date or time such as 2024-01-31, got '{text}'") from None
    return datetime.fromtimestamp(micros / 1_000_000, timezone.utc)


def _guarded(
    rule_set: RuleSet, engine: Engine, store: Store, record: CommitRecord, wishes: Wishes, told: Progress
) -> Redriven:
    """One batch, its failure as a result."""
    spark, now = engine.spark, datetime.now(timezone.utc)
    context = Context(
        rule_set,
        spark,
        store,
        engine.fresh(),
        layout.new_run_id(),
        now,
        record.batch_time,
        lambda w: told(f"{record.batch}: {w}"),
    )
    try:
        spark.sparkContext.setJobGroup(context.run, f"quality redrive {record.dataset} {record.batch}")
        with withholding(rule_set.sensitive), Lease(store, record.dataset, record.batch, context.run) as lease:
            done = Returning(context, record, wishes, lease).result()
            if done.decision == Decision.NONE and not wishes.dry_run:
                # a re-drive that was killed behind its record is made whole here
                publishing.follow(context)
            return done
    except UsageError:
        raise
    except (QualityError, PySparkException, Py4JError, OSError) as error:
        LOG.debug(
            "re-drive %s of %s %s failed", context.run, record.dataset, record.batch, exc_info=not rule_set.sensitive
        )
        with withholding(rule_set.sensitive):
            message = str(error) if isinstance(error, QualityError) else f"Spark gave up: {reason(error)}"
        return Redriven(record.dataset, record.batch, message, exit_code=3)
    finally:
        context.engine.release()
        with suppress(Py4JError, OSError):
            spark.sparkContext.setLocalProperty("spark.jobGroup.id", None)  # type: ignore[arg-type]
