"""The command that says a rule file in another language."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from quality.commands.common import add_dataset, add_references, add_rule_arguments, command, references, variables
from quality.errors import UsageError


def add_convert(commands: Any) -> None:
    """Add `quality convert`."""
    example = "quality convert orders.dqdl -o rules/orders.yml"
    parser = command(
        commands,
        "convert",
        _convert,
        "turn rules of another language into a rule file, or a rule file into another language",
        example,
    )
    parser.add_argument(
        "file", metavar="FILE", help="a .dqdl or .yml file, a suite of Great Expectations, or checks of SodaCL"
    )
    parser.add_argument("-o", "--output", metavar="OUT", help="write here instead of printing")
    languages = ["yaml", "dqdl", "expectations", "soda", "dbt", "odcs"]
    parser.add_argument("--from", dest="origin", choices=languages, help="the language of FILE, where it does not tell")
    parser.add_argument(
        "--to", choices=["yaml", "dqdl", "odcs"], help="the language to write, where FILE's name does not tell"
    )
    parser.add_argument("--batch", help="render templates of a rule file for this batch: other languages have none")
    add_rule_arguments(parser)
    add_dataset(parser)
    add_references(parser)


def _convert(options: argparse.Namespace) -> int:
    from quality.rulefile.dqdl.convert import convert_file

    converted = convert_file(
        options.file,
        options.to or "",
        batch=options.batch,
        variables=variables(options),
        allow_env=frozenset(options.allow_env),
        input_path=options.input,
        root=options.root,
        dataset=options.dataset,
        references=references(options),
        origin=options.origin or "",
    )
    if options.output:
        _write(Path(options.output), converted.text)
    else:
        print(converted.text, end="")
    for loss in converted.losses:
        print(loss, file=sys.stderr)
    print(f"{converted.rules} of {converted.total} rules carried over", file=sys.stderr)
    return 0


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"-o {path}: cannot be written: {error.strerror}") from None
