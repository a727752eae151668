"""A stream as a job on a cluster: its arguments, and what the job ends with.

A job that streams ends like one that runs batches. Of many micro-batches only the last of each exit code is kept for that.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quality.errors import UsageError

if TYPE_CHECKING:
    import argparse

    from pyspark.sql import SparkSession

    from quality.results import RunResult

#: What `--stream` may say.
WAYS = ("once", "forever")
_NAMES = ("trigger", "checkpoint", "window", "on_held")


@dataclass(frozen=True)
class StreamWishes:
    """The arguments of a stream; None where the rule file decides."""

    once: bool
    trigger: str | None = None
    checkpoint: str | None = None
    window: str | None = None
    on_held: str | None = None
    max_batches: int | None = None
    new_stream: bool = False


def add_arguments(add: Callable[..., None]) -> None:
    """Add them as the job adds its own."""
    add("stream", "|".join(WAYS), "judge what comes instead of batches: all that is there, or on and on")
    add("trigger", "TIME", "how often a micro-batch begins: 10s, 5m")
    add("checkpoint", "URI", "where Spark notes what was read, instead of below the root")
    add("window", "N|TIME", "also add up the metrics of N micro-batches, or of 1h")
    add("on-held", "stop|continue", "what a held micro-batch does to the stream")
    add("max-batches", "N", "end after so many micro-batches")
    add(
        "new-stream",
        "true|false",
        "read from the start although another stream fed the data set",
        nargs="?",
        const="true",
    )


def wishes(
    found: argparse.Namespace,
    rules: tuple[str, ...],
    batches: tuple[str, ...],
    number: Callable[[str, str | None], int | None],
) -> StreamWishes | None:
    """What the arguments ask for; None when batches are to be run. Raises UsageError for what does not go together."""
    words = {name: getattr(found, name) or None for name in _NAMES}
    most, new = number("max-batches", found.max_batches), (found.new_stream or "false").lower()
    if not found.stream:
        given = [name for name, value in {**words, "max_batches": most}.items() if value]
        if given:
            raise UsageError(f"--{given[0].replace('_', '-')} is about streams; --stream {'|'.join(WAYS)} begins one")
        return None
    if found.stream not in WAYS:
        raise UsageError(f"--stream is one of {', '.join(WAYS)}, got '{found.stream}'")
    if new not in ("true", "false"):
        raise UsageError(f"--new-stream is one of true, false, got '{new}'")
    if batches:
        raise UsageError("--stream and --batch do not go together: a stream makes its own batches")
    if len(rules) > 1:
        raise UsageError(f"a stream is by one rule file, got {len(rules)}; start a job for each")
    return StreamWishes(found.stream == "once", **words, max_batches=most, new_stream=new == "true")


def run(
    spark: SparkSession, path: Path, wish: StreamWishes, given: Mapping[str, Any], result_uri: str | None
) -> list[RunResult]:
    """Stream until it ends or the platform says so (SIGTERM); a summary goes to `result_uri`. The last result of each exit
    code. `given` are arguments of `quality.stream`."""
    from quality.streams import stream

    last: dict[int, RunResult] = {}

    def told(result: RunResult) -> None:
        last[result.exit_code] = result
        given["told"](result)

    found = stream(path, spark=spark, signals=True, **{**given, "told": told}, **asdict(wish))
    sys.stdout.write(f"stream {found.stream} of {found.dataset} ended: {found.ended}\n")
    if result_uri:
        keep(result_uri, {"schema": "quality.stream/1", **found.to_dict()}, spark)
    return list(last.values())


def keep(uri: str, data: Mapping[str, Any], spark: SparkSession) -> None:
    """Plain data as JSON at a place of the caller's choice."""
    from quality.storage.store import open_store

    folder, _, name = uri.rpartition("/")
    open_store(folder or ".", spark).put(name, json.dumps(data, ensure_ascii=False, indent=1).encode())
    sys.stdout.write(f"result JSON: {uri}\n")
