"""`quality run`."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from pathlib import Path
from typing import Any

from quality.commands.common import (
    add_conf,
    add_dataset,
    add_max_scans,
    add_references,
    add_rule_arguments,
    check_output,
    command,
    references,
    rule_options,
    settings,
)
from quality.errors import Problem, RuleFileError, StorageError
from quality.model import gravest_exit


def add_run(commands: Any) -> None:
    """Add `quality run`."""
    example = "quality run rules/orders.yml --batch 2024-01-02 --var incoming=s3://bucket/incoming"
    parser = command(commands, "run", _run, "run rule files on batches: judge, split, publish or hold", example)
    parser.add_argument("rules", nargs="+", metavar="RULES", help="rule files")
    parser.add_argument("--batch", action="append", required=True, help="the batch to run; several are run one by one")
    add_rule_arguments(parser)
    add_dataset(parser)
    add_references(parser)
    parser.add_argument("--force", action="store_true", help="run although nothing changed since the last run")
    add_conf(parser)
    add_max_scans(parser)
    parser.add_argument("--engine", default="auto", help="auto, deequ, deequ-runner or spark")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument("--junit", metavar="FILE", help="write the result as JUnit XML, for CI")
    parser.add_argument("--verbose", action="store_true", help="list passed rules too")


def _run(options: argparse.Namespace) -> int:
    from quality.progress import Progress
    from quality.report import junit, terminal

    given = {**rule_options(options), "dataset": options.dataset, "references": references(options)}
    _refuse_mistakes(options, given)
    conf = settings(options)
    from quality.runs import run_batches

    with Progress(sys.stderr, quiet=options.json) as progress:
        results = run_batches(
            options.rules, options.batch, force=options.force, engine=options.engine, progress=progress.told, conf=conf,
            max_scans=options.max_scans, **given,
        )  # fmt: skip
    found = [dict(result.data) for result in results]
    if options.junit:
        _write(options.junit, junit.render(found))
    if options.json:
        print(json.dumps(_together(found), ensure_ascii=False, indent=1))
    else:
        command = f"quality {shlex.join(_repeated(options.words))}"
        terminal.show(_together([{**data, "command": command} for data in found]), verbose=options.verbose)
    return gravest_exit(result.exit_code for result in results)


def _repeated(words: list[str]) -> list[str]:
    """The command line as it is shown to be repeated, without the values of settings."""
    shown = []
    for before, word in zip(["", *words], words, strict=False):
        if before == "--conf" or word.startswith("--conf="):
            key = word.removeprefix("--conf=").partition("=")[0]
            shown.append(f"{'--conf=' if word.startswith('--conf=') else ''}{key}=...")
        elif word not in ("--force", "--verbose"):
            shown.append(word)
    return shown


def _refuse_mistakes(options: argparse.Namespace, given: dict[str, Any]) -> None:
    """A mistake in the last file or batch must not be found after an hour in the first."""
    from quality.rulefile import load
    from quality.storage.layout import check_batch

    check_output("--junit", options.junit)
    problems: list[Problem] = []
    for rules in options.rules:
        for batch in options.batch:
            try:
                load(
                    rules,
                    batch=check_batch(batch),
                    variables=given["variables"],
                    allow_env=given["allow_env"],
                    input_path=given["input"],
                    root=given["root"],
                    dataset=given["dataset"],
                    references=given["references"],
                )
            except RuleFileError as error:
                problems += error.problems
    if problems:
        raise RuleFileError(problems)


def _together(found: list[dict[str, Any]]) -> dict[str, Any]:
    return found[0] if len(found) == 1 else {"schema": "quality.results/1", "results": found}


def _write(path: str, text: str) -> None:
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise StorageError(f"{path}: cannot be written: {error.strerror}") from None
