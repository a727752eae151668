"""`quality test`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from quality.commands.common import command, variables
from quality.errors import StorageError, UsageError


def add_test(commands: Any) -> None:
    """Add `quality test`."""
    example = "quality test rules/orders.yml --junit rules.xml"
    parser = command(commands, "test", _test, "hold every rule against its own examples, without a batch", example)
    parser.add_argument("rules", nargs="+", metavar="RULES", help="rule files")
    parser.add_argument("--batch", default="2000-01-01", help="the batch that templates see (default: %(default)s)")
    parser.add_argument("--var", action="append", default=[], metavar="NAME=VALUE", help="a value for the file's vars")
    parser.add_argument(
        "--allow-env", action="append", default=[], metavar="NAME", help="a variable that env() may read"
    )
    parser.add_argument("--json", action="store_true", help="print the outcome as JSON")
    parser.add_argument("--junit", metavar="FILE", help="write the outcome as JUnit XML, for CI")
    parser.add_argument("--verbose", action="store_true", help="list examples that hold and rules without any, too")


def _test(options: argparse.Namespace) -> int:
    if options.junit and not Path(options.junit).resolve().parent.is_dir():
        raise UsageError(f"--junit {options.junit}: there is no directory {Path(options.junit).resolve().parent}")
    given: Any = {"variables": variables(options), "allow_env": frozenset(options.allow_env)}
    from quality.examples import judge_examples
    from quality.progress import Progress
    from quality.report import examples

    with Progress(sys.stderr, quiet=options.json) as progress:
        tested = judge_examples(options.rules, batch=options.batch, progress=progress.told, **given)
    found = [outcome.to_dict() for outcome in tested]
    if options.junit:
        try:
            Path(options.junit).write_text(examples.junit(found), encoding="utf-8")
        except OSError as error:
            raise StorageError(f"{options.junit}: cannot be written: {error.strerror}") from None
    if options.json:
        whole = found[0] if len(found) == 1 else {"schema": "quality.tests/1", "results": found}
        print(json.dumps(whole, ensure_ascii=False, indent=1, default=str))
    else:
        print("\n".join(examples.render(outcome, verbose=options.verbose) for outcome in found))
    return max(outcome.exit_code for outcome in tested)
