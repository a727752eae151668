"""`quality test`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from quality.commands.common import add_dataset, add_references, check_output, command, references, variables
from quality.errors import StorageError, UsageError


def add_test(commands: Any) -> None:
    """Add `quality test`."""
    example = "quality test rules/orders.yml --junit rules.xml"
    help = "hold every rule against its own examples, or against faults put into a good batch"
    parser = command(commands, "test", _test, help, example)
    parser.add_argument("rules", nargs="+", metavar="RULES", help="rule files")
    parser.add_argument("--batch", help="the batch that templates see, and that --mutate reads (examples: 2000-01-01)")
    parser.add_argument("--var", action="append", default=[], metavar="NAME=VALUE", help="a value for the file's vars")
    parser.add_argument(
        "--allow-env", action="append", default=[], metavar="NAME", help="a variable that env() may read"
    )
    parser.add_argument("--json", action="store_true", help="print the outcome as JSON")
    parser.add_argument("--junit", metavar="FILE", help="write the outcome as JUnit XML, for CI")
    parser.add_argument("--verbose", action="store_true", help="list examples that hold and rules without any, too")
    parser.add_argument(
        "--mutate",
        action="store_true",
        help="put faults into a good batch, one at a time, and list those no rule catches; without --batch and --input into one made of examples",
    )
    parser.add_argument("--input", metavar="PATH", help="--mutate: read this instead of the file's input")
    parser.add_argument("--root", metavar="PATH", help="--mutate: look for earlier batches here")
    parser.add_argument("--rows", type=int, metavar="N", help="--mutate: look at so many rows (2000)")
    parser.add_argument("--share", type=float, metavar="S", help="--mutate: the share of rows with a fault (0.05)")
    parser.add_argument("--seed", type=int, metavar="N", help="--mutate: which rows they are (1)")
    add_dataset(parser)
    add_references(parser)


def _test(options: argparse.Namespace) -> int:
    if options.mutate:
        return _mutate(options)
    for word in ("input", "root", "rows", "share", "seed", "dataset"):
        if getattr(options, word) is not None:
            raise UsageError(f"--{word} goes with --mutate: examples need no batch")
    check_output("--junit", options.junit)
    given: Any = {"variables": variables(options), "allow_env": frozenset(options.allow_env)}
    given["references"] = references(options)
    from quality.examples import BATCH, judge_examples
    from quality.progress import Progress
    from quality.report import examples

    with Progress(sys.stderr, quiet=options.json) as progress:
        tested = judge_examples(options.rules, batch=options.batch or BATCH, progress=progress.told, **given)
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


def _mutate(options: argparse.Namespace) -> int:
    if len(options.rules) > 1 or options.junit:
        raise UsageError("--mutate takes one rule file" + (", and writes no JUnit XML" if options.junit else ""))
    from quality.examples import BATCH
    from quality.mutation import mutate
    from quality.progress import Progress
    from quality.report import mutation

    how = {word: getattr(options, word) for word in ("rows", "share", "seed") if getattr(options, word) is not None}
    with Progress(sys.stderr, quiet=options.json) as progress:
        mutated = mutate(
            options.rules[0],
            options.batch or (BATCH if options.input else ""),
            input=options.input,
            variables=variables(options),
            root=options.root,
            dataset=options.dataset,
            references=references(options),
            allow_env=frozenset(options.allow_env),
            progress=progress.told,
            **how,
        )
    found = mutated.to_dict()
    if options.json:
        print(json.dumps(found, ensure_ascii=False, indent=1))
    else:
        print(mutation.render(found, verbose=options.verbose))
    return mutated.exit_code
