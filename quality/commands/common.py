"""What the commands share: how one is added, and the options that go with a rule file."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from quality.errors import UsageError
from quality.jars import COMET_PLUGIN

EXIT_CODES = """exit codes: 0 passed (warnings too)  1 rules failed, published  2 usage or rule file wrong
            3 input, Spark or storage failed  4 held: readers keep the previous version"""


def command(commands: Any, name: str, action: Callable[[argparse.Namespace], int], help: str, example: str) -> Any:
    """Add a command and return its parser. `action` gets the options and returns the exit code."""
    parser = group(commands, name, help, example)
    parser.set_defaults(command=action)
    parser.add_argument("--debug", action="store_true", help="show tracebacks and what the engine does")
    return parser


def group(commands: Any, name: str, help: str, example: str) -> Any:
    """Add a command that has commands of its own, and return its parser."""
    return commands.add_parser(
        name, help=help, description=help, epilog=f"example:\n  {example}\n\n{EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False,
    )  # fmt: skip


def add_rule_arguments(parser: Any) -> None:
    """The options of every command that loads a rule file for a batch."""
    parser.add_argument("--var", action="append", default=[], metavar="NAME=VALUE", help="a value for the file's vars")
    parser.add_argument(
        "--allow-env", action="append", default=[], metavar="NAME", help="a variable that env() may read"
    )
    parser.add_argument("--input", metavar="PATH", help="read this instead of the file's input")
    parser.add_argument("--root", metavar="PATH", help="keep results here instead of the file's outputs.root")


def add_dataset(parser: Any) -> None:
    """The option of the commands that take a rule file in DQDL."""
    parser.add_argument("--dataset", metavar="ID", help="the data set, instead of the file's; a .dqdl file names none")


def add_references(parser: Any) -> None:
    """The option of the commands that judge by a rule file in DQDL, which names other data sets and not where they are."""
    words = "where another data set lies, instead of the file's 'references:'; also NAME=table:ID and NAME=dataset:ID"
    parser.add_argument("--reference", action="append", default=[], metavar="NAME=PATH", help=words)


def references(options: argparse.Namespace) -> dict[str, str]:
    """What --reference gives. Raises UsageError."""
    found = _pairs("--reference", "NAME=PATH", options.reference)
    for name, place in found.items():
        if not place:
            raise UsageError(f"--reference takes NAME=PATH, and '{name}=' names no place")
    return found


def variables(options: argparse.Namespace) -> dict[str, str]:
    """What --var gives. Raises UsageError."""
    return _pairs("--var", "NAME=VALUE", options.var)


def _pairs(option: str, form: str, texts: Sequence[str]) -> dict[str, str]:
    pairs = [text.partition("=") for text in texts]
    for name, sign, _ in pairs:
        if not sign or not name:
            raise UsageError(f"{option} takes {form}, got '{name}'")
    return {name: value for name, _, value in pairs}


def rule_options(options: argparse.Namespace) -> dict[str, Any]:
    """The same options as the engine takes them."""
    return {
        "variables": variables(options),
        "allow_env": frozenset(options.allow_env),
        "input": options.input,
        "root": options.root,
    }


def check_output(option: str, path: str | None) -> None:
    """UsageError for a file that could not be written, before the work whose outcome would be lost."""
    if path is None:
        return
    folder = Path(path).resolve().parent
    if not folder.is_dir():
        raise UsageError(f"{option} {path}: there is no directory {folder}")
    if Path(path).is_dir():
        raise UsageError(f"{option} {path}: is a directory")
    if not os.access(path if Path(path).exists() else folder, os.W_OK):
        raise UsageError(f"{option} {path}: may not be written")


def add_max_scans(parser: Any) -> None:
    """The option of every command that plans."""
    parser.add_argument("--max-scans", type=int, metavar="N", help="refuse a plan that reads the batch more often")


def add_conf(parser: Any) -> None:
    """The option of every command that may start a Spark of our own."""
    parser.add_argument(
        "--conf", action="append", default=[], metavar="KEY=VALUE", help="a setting for the Spark that is started"
    )
    parser.add_argument(
        "--accelerate", choices=["comet"], help="let DataFusion Comet run what it can (fetches 70 MB the first time)"
    )


def settings(options: argparse.Namespace) -> dict[str, str]:
    """What --conf gives; a value may be a secret, and stands in no message. Raises UsageError."""
    pairs = [text.partition("=") for text in options.conf]
    for name, sign, _ in pairs:
        if not sign or not name.startswith("spark."):
            raise UsageError(f"--conf takes KEY=VALUE with a key of Spark's (spark.…), got the key '{name}'")
    chosen = {"spark.plugins": COMET_PLUGIN} if options.accelerate else {}
    return {**chosen, **{name: value for name, _, value in pairs}}
