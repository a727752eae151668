"""The commands about which run of a batch is live: versions, publish, rollback."""

from __future__ import annotations

import argparse
import json
import os
from typing import TYPE_CHECKING, Any

from quality.commands.common import add_conf, add_dataset, command, settings, variables

if TYPE_CHECKING:
    from quality.versions import Change

_WHAT = "a rule file, or the id of a data set"


def add_versions(commands: Any) -> None:
    """Add `quality versions`."""
    example = "quality versions flights --batch 2013-01-01"
    parser = command(commands, "versions", _versions, "list the runs of a batch, and which one is live", example)
    parser.add_argument("what", metavar="DATASET|RULES", help=_WHAT)
    parser.add_argument("--batch", required=True, help="the batch")
    _add_root(parser)
    parser.add_argument("--json", action="store_true", help="print the list as JSON")


def add_publish(commands: Any) -> None:
    """Add `quality publish`."""
    parser = command(
        commands,
        "publish",
        _publish,
        "make a held run live, or bring tables, views and mirror in line (without --batch, or with --sync)",
        'quality publish rules/orders.yml --batch 2024-01-02 --reason "checked with the sender"',
    )
    _add_arguments(parser, batch_required=False)
    parser.add_argument("--run", help="the held run; default: the last one")
    parser.add_argument(
        "--sync", action="store_true", help="publish nothing, bring everything in line with the records"
    )


def add_rollback(commands: Any) -> None:
    """Add `quality rollback`."""
    parser = command(
        commands,
        "rollback",
        _rollback,
        "make an earlier published run of a batch live again",
        'quality rollback rules/orders.yml --batch 2024-01-02 --reason "amounts are in cents"',
    )
    _add_arguments(parser, batch_required=True)
    parser.add_argument("--to", metavar="RUN|SEQ", help="a run or a number; default: the one published before")


def _add_arguments(parser: Any, *, batch_required: bool) -> None:
    parser.add_argument("what", metavar="DATASET|RULES", help=f"{_WHAT} (then tables and views do not follow at once)")
    parser.add_argument("--batch", required=batch_required, help="the batch")
    _add_root(parser)
    parser.add_argument("--reason", default="", metavar="TEXT", help="why; kept in the record")
    parser.add_argument("--by", metavar="NAME", help="who; default: the user of this process")
    parser.add_argument("--dry-run", action="store_true", help="print what would be done, do nothing")
    parser.add_argument("--var", action="append", default=[], metavar="NAME=VALUE", help="a value for the file's vars")
    parser.add_argument(
        "--allow-env", action="append", default=[], metavar="NAME", help="a variable that env() may read"
    )
    add_conf(parser)
    parser.add_argument("--json", action="store_true", help="print what was done as JSON")


def _add_root(parser: Any) -> None:
    help = "where results are kept; default: what the rule file says, else QUALITY_ROOT, else quality-data"
    parser.add_argument("--root", metavar="PATH", help=help)
    add_dataset(parser)


def _versions(options: argparse.Namespace) -> int:
    from quality.versions import versions

    found = versions(options.what, options.batch, root=_root(options), dataset=options.dataset)
    if options.json:
        print(json.dumps(found, ensure_ascii=False, indent=1))
        return 0
    print(f"  {'number':>6}  {'run':36}  {'time':19}  {'decision':9}  {'status':7}  {'passed':>9}  {'quarantined':>11}")
    for one in found:
        rows, act = one["rows"], ""
        if one["action"] != "run":
            act = f"  {one['action']} of {one['of_seq']} by {one['by']}" + (f": {one['reason']}" * bool(one["reason"]))
        print(
            f"{'*' if one['live'] else ' '} {one['seq']:>6}  {one['run']:36}  {one['time'][:19]}  "
            f"{one['decision']:9}  {one['status']:7}  {rows.get('passed', 0):>9,}  {rows.get('quarantined', 0):>11,}{act}"
        )
    print("* live" if any(one["live"] for one in found) else "none is live: the batch was never published")
    return 0


def _publish(options: argparse.Namespace) -> int:
    from quality.versions import publish

    return _told(options, publish(options.what, options.batch, run=options.run, sync=options.sync, **_given(options)))


def _rollback(options: argparse.Namespace) -> int:
    from quality.versions import rollback

    return _told(options, rollback(options.what, options.batch, to=options.to, **_given(options)))


def _given(options: argparse.Namespace) -> dict[str, Any]:
    return {
        "root": _root(options),
        "dataset": options.dataset,
        "reason": options.reason,
        "by": options.by,
        "dry_run": options.dry_run,
        "variables": variables(options),
        "allow_env": frozenset(options.allow_env),
        "conf": settings(options),
    }


def _root(options: argparse.Namespace) -> str | None:
    from quality.versions import is_rule_file

    # a rule file says itself where it keeps things
    return options.root or (None if is_rule_file(options.what) else os.environ.get("QUALITY_ROOT"))


def _told(options: argparse.Namespace, change: Change) -> int:
    from quality.versions import is_rule_file

    if options.json:
        print(json.dumps(change.to_dict(), ensure_ascii=False, indent=1))
        return change.exit_code
    print(change.message)
    for line in change.planned:
        print(f"  {line}")
    if change.dry_run:
        print("nothing was changed (--dry-run)")
    elif change.changed and not is_rule_file(options.what):
        again = "quality publish RULES --batch BATCH --sync"
        print(f"tables and views, if there are any, follow with the next run, or with: {again}")
    return change.exit_code
