"""`quality suggest`."""

from __future__ import annotations

import argparse
import os
import re
import sys
from pathlib import Path
from typing import Any

from quality.commands.common import add_max_scans, check_output, command
from quality.errors import UsageError


def add_suggest(commands: Any) -> None:
    """Add `quality suggest`."""
    example = "quality suggest 'demo/incoming/flights/{{ batch }}.csv' --option nullValue=NA -o rules/flights.yml"
    parser = command(commands, "suggest", _suggest, "write a rule file from what batches were like", example)
    parser.add_argument(
        "input", metavar="INPUT", help="a path; '{{ batch }}' or one '*' stands for the names of the batches"
    )
    parser.add_argument("--batches", default="", metavar="A,B,...", help="these batches; default: all that are there")
    parser.add_argument("--last", type=int, default=100, metavar="N", help="the last N of them (100)")
    parser.add_argument("--dataset", default="", help="what the data set is called; default: as the directory is")
    parser.add_argument("--format", default="", help="csv, json, parquet or orc; default: as the name says")
    parser.add_argument(
        "--option", action="append", default=[], metavar="NAME=VALUE", help="an option of the reader; CSV has a header"
    )
    parser.add_argument(
        "--reference",
        action="append",
        default=[],
        metavar="NAME=PATH",
        help="another data set that columns may refer to",
    )
    parser.add_argument(
        "--history", default="", metavar="DATASET", help="take the profiles of its history; read no input"
    )
    parser.add_argument(
        "--root", default=os.environ.get("QUALITY_ROOT", "quality-data"), metavar="PATH", help="where that history is"
    )
    parser.add_argument(
        "--rolling", action="store_true", help="bounds that move with the last 7 batches, where they are narrower"
    )
    parser.add_argument(
        "--plan",
        action="store_true",
        help="show the passes it would make; reads schemas alone, which of JSON takes a pass",
    )
    add_max_scans(parser)
    parser.add_argument("-o", "--output", metavar="OUT", help="write here instead of printing")
    parser.add_argument("--force", action="store_true", help="replace OUT where it is there already")


def _suggest(options: argparse.Namespace) -> int:
    from quality.progress import Progress
    from quality.suggestion import plan_files, suggest_files

    if options.last < 1:
        raise UsageError(f"--last must be at least 1, got {options.last}")
    if options.max_scans is not None and options.max_scans < 1:
        raise UsageError(f"--max-scans must be at least 1, got {options.max_scans}")
    given: dict[str, Any] = {
        "batches": [name.strip() for name in options.batches.split(",") if name.strip()],
        "last": options.last,
        "format": options.format,
        "options": _pairs("--option", options.option),
        "references": _pairs("--reference", options.reference),
    }
    if options.plan:
        if options.history:
            _check_history(options)
            print("0 passes: the profiles of the history are all that is read")
            return 0
        with Progress(sys.stderr) as progress:
            progress.told("reading schemas")
            planned = plan_files(options.input, **given)
        print(planned)
        return 0
    if options.output and Path(options.output).exists() and not options.force:
        raise UsageError(f"-o {options.output}: is there already; --force replaces it")
    check_output("-o", options.output)
    dataset = options.dataset or options.history or _dataset(options.input)
    with Progress(sys.stderr) as progress:
        progress.told("profiling batches")
        found = (
            _of_history(options, dataset)
            if options.history
            else suggest_files(
                options.input, dataset=dataset, rolling=options.rolling, max_scans=options.max_scans, **given
            )
        )
    suite = found.suite
    if options.output:
        try:
            Path(options.output).write_text(found.text, encoding="utf-8")
        except OSError as error:
            raise UsageError(f"-o {options.output}: cannot be written: {error.strerror}") from None
    else:
        print(found.text, end="")
    count = len(suite.suggestions)
    passes = f"; passes: {found.told}" if found.told else ""
    print(f"{count} rules from {len(suite.batches)} batches, {len(suite.dropped)} dropped{passes}", file=sys.stderr)
    return 0


def _of_history(options: argparse.Namespace, dataset: str) -> Any:
    from quality.suggestion import suggest_history

    _check_history(options)
    return suggest_history(
        options.root, options.history, path=options.input, dataset=dataset, last=options.last, format=options.format,
        rolling=options.rolling,
    )  # fmt: skip


def _check_history(options: argparse.Namespace) -> None:
    if options.batches or options.option or options.reference:
        raise UsageError("--history reads no input: --batches, --option and --reference do not go with it")


def _pairs(option: str, words: list[str]) -> dict[str, str]:
    pairs = [text.partition("=") for text in words]
    for name, sign, _ in pairs:
        if not sign or not name:
            raise UsageError(f"{option} takes NAME=VALUE, got '{name}'")
    return {name: value for name, _, value in pairs}


def _dataset(path: str) -> str:
    """A name from the last part of the path that names no batch."""
    parts = [part for part in re.split(r"[/\\]", path) if part and not re.search(r"[*{]", part)]
    name = re.sub(r"[^a-z0-9_.-]+", "-", (parts[-1] if parts else "data").lower().partition(".")[0]).strip("-.")
    return name or "data"
