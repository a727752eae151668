"""`quality history backfill`."""

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
    from quality.backfill import Backfilled

SCHEMA = "quality.backfill/1"


def add_history_backfill(commands: Any) -> None:
    """Add `quality history backfill`."""
    about = "measure past batches for the history: metrics and profiles, no verdicts, no rows written"
    example = "quality history backfill rules/flights.yml --since 2013-01-01 --until 2013-01-31"
    parser = command(commands, "backfill", _backfill, about, example)
    parser.add_argument("rules", metavar="RULES", help="a rule file with '{{ batch }}' in its input's path")
    parser.add_argument(
        "--batches", nargs="+", default=[], metavar="BATCH", help="these; default: all that the input's path has"
    )
    parser.add_argument("--since", default="", metavar="BATCH", help="the first batch, by name")
    parser.add_argument("--until", default="", metavar="BATCH", help="the last batch, by name")
    parser.add_argument("--json", action="store_true", help="print what was done as JSON")
    add_rule_arguments(parser)
    add_dataset(parser)
    add_references(parser)
    add_conf(parser)


def _backfill(options: argparse.Namespace) -> int:
    from quality.backfill import FAILED, backfill
    from quality.progress import Progress

    def told(found: Backfilled) -> None:
        if not options.json:
            print(_line(found), flush=True)

    with Progress(sys.stderr, quiet=options.json) as progress:
        done = backfill(
            options.rules,
            options.batches,
            since=options.since,
            until=options.until,
            dataset=options.dataset,
            references=references(options),
            conf=settings(options),
            progress=progress.told,
            told=told,
            **rule_options(options),
        )
    failed = sum(one.state == FAILED for one in done)
    if options.json:
        print(json.dumps({"schema": SCHEMA, "batches": [_to_dict(one) for one in done]}, ensure_ascii=False, indent=1))
    else:
        states = [one.state for one in done]
        print(", ".join(f"{states.count(state):,} {state}" for state in dict.fromkeys(states)))
    return 3 if failed else 0


def _line(found: Backfilled) -> str:
    counted = f"{found.rows:,} rows, {found.metrics:,} metrics" if found.metrics else ""
    about = "; ".join(filter(None, (counted, found.message)))
    return f"{found.batch:24}  {found.batch_time:%Y-%m-%d %H:%M:%S}  {found.state}{': ' if about else ''}{about}"


def _to_dict(found: Backfilled) -> dict[str, Any]:
    planned, actual = found.passes
    return {
        "batch": found.batch,
        "batch_time": found.batch_time.isoformat(),
        "state": found.state,
        "rows": found.rows,
        "metrics": found.metrics,
        "passes": {"planned": planned, "actual": actual},
        "message": found.message or None,
    }
