"""`quality stream`."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from quality.commands.common import (
    add_conf,
    add_dataset,
    add_references,
    add_rule_arguments,
    command,
    references,
    rule_options,
    settings,
)

if TYPE_CHECKING:
    from quality.results import RunResult


def add_stream(commands: Any) -> None:
    """Add `quality stream`."""
    example = "quality stream rules/orders.yml --input s3://bucket/incoming/orders --trigger 30s"
    words = "judge files or messages as they come, micro-batch by micro-batch"
    parser = command(commands, "stream", _stream, words, example)
    parser.add_argument("rules", metavar="RULES", help="a rule file whose input is a directory, a pattern or a topic")
    add_rule_arguments(parser)
    add_dataset(parser)
    add_references(parser)
    parser.add_argument(
        "--once", "--available-now", action="store_true", help="end when all is read that is there at the start"
    )
    parser.add_argument("--trigger", metavar="TIME", help="how often a micro-batch begins: 10s (default), 5m")
    parser.add_argument("--max-batches", type=int, metavar="N", help="end after so many micro-batches")
    parser.add_argument("--on-held", metavar="WORD", help="stop (default) at a held micro-batch, or continue")
    parser.add_argument(
        "--checkpoint", metavar="PATH", help="where Spark notes what was read, instead of below the root"
    )
    parser.add_argument("--window", metavar="N|TIME", help="also add up the metrics of N micro-batches, or of 1h")
    parser.add_argument(
        "--new-stream", action="store_true", help="read from the start although another stream fed this data set"
    )
    add_conf(parser)
    parser.add_argument("--engine", default="auto", help="auto, deequ, deequ-runner or spark")
    parser.add_argument(
        "--json", action="store_true", help="print a line of JSON for each micro-batch, and one at the end"
    )


def _stream(options: argparse.Namespace) -> int:
    from quality.progress import Progress
    from quality.streams import stream

    with Progress(sys.stderr, quiet=options.json) as progress:
        found = stream(
            options.rules, once=options.once, trigger=options.trigger, max_batches=options.max_batches,
            on_held=options.on_held, checkpoint=options.checkpoint, window=options.window, new_stream=options.new_stream, engine=options.engine,
            conf=settings(options), signals=True, progress=progress.told, told=_as_json if options.json else _as_text,
            dataset=options.dataset, references=references(options), **rule_options(options),
        )  # fmt: skip
    if options.json:
        print(json.dumps(found.to_dict()), flush=True)
        return found.exit_code
    rows = found.rows
    print(
        f"stream {found.stream} of {found.dataset}: {found.batches:,} micro-batches judged, {found.passed_over:,} passed over; "
        f"{rows.input:,} rows in = {rows.passed:,} passed + {rows.quarantined:,} quarantined; {found.ended}; "
        f"exit code {found.exit_code}"
    )
    return found.exit_code


def _as_json(result: RunResult) -> None:
    print(json.dumps(dict(result.data), ensure_ascii=False), flush=True)


def _as_text(result: RunResult) -> None:
    from quality.report.terminal import summary_line

    print(summary_line(dict(result.data)), flush=True)
