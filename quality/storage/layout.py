"""The name of everything that is kept, as pure functions. A key is relative to the root and uses `/`."""

from __future__ import annotations

import os
import re
import threading
import time
import uuid
from datetime import datetime, timezone
from urllib.parse import quote, unquote

from quality.errors import UsageError, did_you_mean

#: The three sides of a batch that hold rows.
SIDES = ("passed", "quarantine", "flags")
#: The three history tables.
TABLES = ("metrics", "results", "runs")

_DATASET = re.compile(r"[a-z0-9_.-]+")
_BATCH = re.compile(r"[A-Za-z0-9._:+-]{1,128}")


def check_dataset(text: str) -> str:
    """The data set id unchanged; UsageError when it is none."""
    if _DATASET.fullmatch(text) and text.strip("."):
        return text
    raise UsageError(
        f"data set id '{text}' is not allowed; it is lower-case letters, digits, '_', '.', '-', and not dots alone"
    )


def check_batch(text: str) -> str:
    """The batch id unchanged; UsageError when it is none."""
    if _BATCH.fullmatch(text) and text.strip("."):
        return text
    raise UsageError(
        f"batch id '{text}' is not allowed; it is 1 to 128 letters, digits, '.', '_', ':', '+', '-', and not dots alone"
    )


def encode_batch(batch: str) -> str:
    """The batch id as one path segment: percent-encoded but for `[A-Za-z0-9._-]`, and a name of dots alone wholly."""
    if not batch.strip("."):
        return batch.replace(".", "%2E")
    # quote leaves ~ alone, which a shell would expand
    return quote(batch, safe="").replace("~", "%7E")


def decode_batch(segment: str) -> str:
    """The batch id of a path segment, whoever encoded it."""
    return unquote(segment)


def runs_dir(side: str, dataset: str, batch: str) -> str:
    """Where the runs of a batch keep one side."""
    if side not in SIDES:
        raise UsageError(f"side '{side}' does not exist; {did_you_mean(side, SIDES, 'sides')}")
    return f"{side}/{dataset}/_runs/{encode_batch(batch)}"


def passed_dir(dataset: str, batch: str, run: str) -> str:
    """Where a run writes its passed rows."""
    return f"{runs_dir('passed', dataset, batch)}/{run}"


def quarantine_dir(dataset: str, batch: str, run: str) -> str:
    """Where a run writes its quarantined rows."""
    return f"{runs_dir('quarantine', dataset, batch)}/{run}"


def flags_dir(dataset: str, batch: str, run: str) -> str:
    """Where a run writes the rows that were kept although a rule failed on them."""
    return f"{runs_dir('flags', dataset, batch)}/{run}"


def ledger_dir(dataset: str) -> str:
    """Where the states of quarantined rows are appended."""
    return f"quarantine/{dataset}/_ledger"


def ledger_key(dataset: str, batch: str, entry: str) -> str:
    """What happened to quarantined rows of a batch at once: one entry."""
    return f"{ledger_dir(dataset)}/{encode_batch(batch)}/{entry}.json"


def ledger_rows(dataset: str, batch: str, entry: str) -> str:
    """The folder with the rows an entry is about."""
    return ledger_key(dataset, batch, entry).removesuffix(".json")


def commits_dir(dataset: str, batch: str | None = None) -> str:
    """Where the commits of a data set, or of one batch, are."""
    return f"commits/{dataset}" if batch is None else f"commits/{dataset}/{encode_batch(batch)}"


def commit_key(dataset: str, batch: str, seq: int) -> str:
    """The one key two runs of a batch compete for."""
    return f"{commits_dir(dataset, batch)}/{seq}.json"


def commit_seq(key: str) -> int | None:
    """The number of a commit key; None for any other name in that place."""
    match = re.fullmatch(r"(0|[1-9][0-9]*)\.json", key.rpartition("/")[2], re.ASCII)
    return int(match[1]) if match else None


def result_key(dataset: str, batch: str, run: str) -> str:
    """Where a run keeps its result, committed or not."""
    return f"runs/{dataset}/{encode_batch(batch)}/{run}/result.json"


def lease_key(dataset: str, batch: str, run: str) -> str:
    """Where a long run says that it is alive."""
    return result_key(dataset, batch, run).replace("/result.json", "/lease.json")


def checkpoint_dir(dataset: str) -> str:
    """Where Spark notes how far a stream has come."""
    return f"streams/{dataset}/checkpoint"


def micro_batch(stream: str, number: int) -> str:
    """The batch id of a micro-batch: the stream (what its checkpoint calls it) and its number there."""
    return f"{stream}-{number:09}"


def stream_of(batch: str) -> str:
    """The stream that a batch id names; empty for a batch of another kind."""
    match = re.fullmatch(r"([0-9a-f]{12})-[0-9]{9,}", batch, re.ASCII)
    return match[1] if match else ""


def collected_key(dataset: str, batch: str, run: str) -> str:
    """Where it is noted that the rows of a run were collected, and when."""
    return result_key(dataset, batch, run).replace("/result.json", "/collected.json")


def history_dir(table: str, dataset: str) -> str:
    """Where a history table keeps one data set; `dataset=` makes it a partition to tools that know them."""
    if table not in TABLES:
        raise UsageError(f"history table '{table}' does not exist; {did_you_mean(table, TABLES, 'tables')}")
    return f"history/{table}/dataset={dataset}"


def history_file(table: str, dataset: str, run: str, suffix: str = "parquet") -> str:
    """The one file a run adds to a history table. Runs are named by time, so the names sort as they were begun."""
    return f"{history_dir(table, dataset)}/{run}.{suffix}"


def backfills_dir(dataset: str) -> str:
    """Where it is noted which past batches were measured for the history alone."""
    return f"history/backfill/dataset={dataset}"


def backfill_key(dataset: str, batch: str, seq: int) -> str:
    """The n-th backfill of a batch."""
    return f"{backfills_dir(dataset)}/{encode_batch(batch)}/{seq}.json"


def packs_dir(dataset: str) -> str:
    """Where it is noted which files of the history lie together in packs."""
    return f"history/packs/dataset={dataset}"


def pack_note_key(dataset: str, table: str, pack: str) -> str:
    """The note of a pack of a history table."""
    return f"{packs_dir(dataset)}/{table}-{pack}.json"


def accepted_dir(dataset: str) -> str:
    """Where it is noted which batches a person took for the new normal."""
    return f"history/accepted/dataset={dataset}"


def manifest_dir(dataset: str) -> str:
    """What a table in Athena, Hive or Trino has as its location: one partition per batch."""
    return f"passed/{dataset}/_symlink_format_manifest"


def manifest_key(dataset: str, batch: str) -> str:
    """The list of live files of one batch. Hive decodes the partition value as we encode it."""
    return f"{manifest_dir(dataset)}/batch={encode_batch(batch)}/manifest"


class _Clock:
    """Milliseconds since 1970 with 12 bits of fraction, greater at every call."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0

    def tick(self) -> int:
        millis, rest = divmod(time.time_ns(), 1_000_000)
        with self._lock:
            # the clock may stand still or be set back; the order of runs must not
            self._last = max(millis << 12 | rest * 4096 // 1_000_000, self._last + 1)
            return self._last


_clock = _Clock()


def new_run_id() -> str:
    """A UUIDv7 as text: sorts by time, and within a process strictly by call."""
    millis, fraction = divmod(_clock.tick(), 4096)
    noise = int.from_bytes(os.urandom(8), "big") >> 2
    return str(uuid.UUID(int=millis << 80 | 7 << 76 | fraction << 64 | 2 << 62 | noise))


def run_began(run: str) -> datetime | None:
    """When a run got its id, by the clock of its driver; None for what is no run id of ours."""
    try:
        number = uuid.UUID(run)
    except ValueError:
        return None
    if number.version != 7 or str(number) != run:
        return None
    try:
        return datetime.fromtimestamp((number.int >> 80) / 1000, timezone.utc)
    except (ValueError, OverflowError, OSError):
        return None
