"""`quality redrive`."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from quality.commands.common import add_conf, add_dataset, add_references, command, references, settings, variables
from quality.model import gravest_exit


def add_redrive(commands: Any) -> None:
    """Add `quality redrive`."""
    parser = command(
        commands,
        "redrive",
        _redrive,
        "judge quarantined rows again by today's rules, and pass those that pass",
        "quality redrive rules/orders.yml --batch 2024-01-02 --corrected corrected.csv --reason 'ticket 17'",
    )
    parser.add_argument("rules", metavar="RULES", help="a rule file")
    parser.add_argument("--batch", action="append", default=[], help="of this batch only; may be repeated")
    parser.add_argument("--rule", default="", metavar="ID", help="only rows that failed this rule")
    parser.add_argument("--since", default="", metavar="DATE", help="only batches about that time or later")
    parser.add_argument(
        "--corrected",
        default="",
        metavar="FILE",
        help="only the rows of this file (.csv, .jsonl, .parquet), with its values: a column row_id, and those to replace",
    )
    parser.add_argument("--reason", default="", metavar="TEXT", help="why; kept in the record and the ledger")
    parser.add_argument("--by", metavar="NAME", help="who; default: the user of this process")
    parser.add_argument("--dry-run", action="store_true", help="say what would pass, and change nothing")
    parser.add_argument("--var", action="append", default=[], metavar="NAME=VALUE", help="a value for the file's vars")
    parser.add_argument(
        "--allow-env", action="append", default=[], metavar="NAME", help="a variable that env() may read"
    )
    parser.add_argument("--input", metavar="PATH", help="take this for the file's input")
    parser.add_argument("--root", metavar="PATH", help="keep results here instead of the file's outputs.root")
    add_dataset(parser)
    add_references(parser)
    add_conf(parser)
    parser.add_argument("--json", action="store_true", help="print what was done as JSON")


def _redrive(options: argparse.Namespace) -> int:
    from quality.progress import Progress

    conf, given_variables = settings(options), variables(options)
    from quality.redrive import redrive

    with Progress(sys.stderr, quiet=options.json) as progress:
        found = redrive(
            options.rules, batches=tuple(options.batch), rule=options.rule, since=options.since, root=options.root,
            input=options.input, dataset=options.dataset, references=references(options),
            corrected=options.corrected, by=options.by, reason=options.reason, dry_run=options.dry_run, conf=conf,
            progress=progress.told, variables=given_variables, allow_env=frozenset(options.allow_env),
        )  # fmt: skip
    if options.json:
        several = {"schema": "quality.redrives/1", "results": [one.to_dict() for one in found]}
        print(json.dumps(several, ensure_ascii=False, indent=1))
        return gravest_exit(one.exit_code for one in found)
    for one in found:
        print(one.message)
    if not found:
        print("no batch is that recent; nothing was re-driven")
    elif options.dry_run:
        print("nothing was changed (--dry-run)")
    return gravest_exit(one.exit_code for one in found)
