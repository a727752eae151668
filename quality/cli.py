"""The command `quality`: reads arguments, calls the engine, prints. No logic lives here.

Spark is imported by the commands that need it, so that `lint` answers in milliseconds.
"""

from __future__ import annotations

import argparse
import logging
import os
import re
import sys
import traceback
from collections.abc import Sequence
from typing import NoReturn

import quality
from quality.commands import COMMANDS
from quality.commands.common import EXIT_CODES
from quality.errors import EngineError, QualityError, RuleFileError, UsageError, did_you_mean


class _Parser(argparse.ArgumentParser):
    """Ends with one line and exit code 2; a mistyped word gets the one that was meant."""

    def error(self, message: str) -> NoReturn:
        """Raise what `main` prints."""
        raise UsageError(f"{_with_hint(message, self)}\n{self.format_usage().strip()}")


_NEGATIVE = re.compile(r"-\d+|-\d*\.\d+")
_INVALID_NUMBER = re.compile(r"argument (?P<option>.*): invalid (?P<type>int|float) value: '(?P<word>.*)'")
_INVALID_CHOICE = re.compile(r"argument (?P<option>.*): invalid choice: (?P<quote>['\"])(?P<word>.*?)(?P=quote) \(")


def _with_hint(message: str, parser: argparse.ArgumentParser) -> str:
    wrong = _INVALID_CHOICE.match(message)
    if wrong and wrong["option"] == "COMMAND":
        return f"'{wrong['word']}' is not a command; {did_you_mean(wrong['word'], _commands(parser), 'commands')}"
    if wrong:
        action = next(a for a in parser._actions if wrong["option"] in ("/".join(a.option_strings), a.metavar, a.dest))
        allowed = [str(choice) for choice in action.choices or ()]
        return f"{wrong['option']} cannot be '{wrong['word']}'; {did_you_mean(wrong['word'], allowed)}"
    if number := _INVALID_NUMBER.match(message):
        return (
            f"{number['option']} must be a {'whole ' if number['type'] == 'int' else ''}number, got '{number['word']}'"
        )
    if message.startswith("the following arguments are required: "):
        missing = message.partition(": ")[2]
        commands = f"; commands: {', '.join(_commands(parser))}" if missing == "COMMAND" else ""
        return f"{missing} is missing{commands}"
    return message


def _commands(parser: argparse.ArgumentParser) -> list[str]:
    groups = parser._subparsers._group_actions if parser._subparsers else []
    return [str(name) for group in groups for name in group.choices or ()]


def _parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """The options. A word that nothing takes is told by the command's own parser, which knows what it could have been,
    and before argparse misses what was meant by it."""
    whole = _parser()
    parser = _parser_of(whole, arguments)
    for word in arguments:
        option = word.partition("=")[0]
        if word == "--":
            break
        # -3 is a number and '- as said' a text, as argparse takes them
        looks_so = word[:1] == "-" and len(word) > 1 and " " not in option and not _NEGATIVE.fullmatch(word)
        if looks_so and option not in parser._option_string_actions:
            words = [known for known in parser._option_string_actions if known.startswith("--")]
            parser.error(f"'{option}' is not an argument; {did_you_mean(option, words, 'arguments')}")
    options, unknown = whole.parse_known_args(list(arguments))
    if unknown:
        parser.error(f"'{unknown[0]}' is one argument too many")
    return options


def _parser_of(whole: argparse.ArgumentParser, arguments: Sequence[str]) -> argparse.ArgumentParser:
    """The parser of the command that the words name, or of the command within it (`history athena-ddl`)."""
    parser = whole
    for word in (word for word in arguments if not word.startswith("-")):
        groups = parser._subparsers._group_actions if parser._subparsers else []
        found = [group.choices[word] for group in groups if isinstance(group.choices, dict) and word in group.choices]
        if not found:
            return parser
        parser = found[0]
    return parser


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command and end the process with its exit code."""
    code = 3
    try:
        code = run_command(sys.argv[1:] if arguments is None else arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        # the reader of a pipe went away (`quality rules | head`): not a failure
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    sys.exit(code)


def run_command(arguments: Sequence[str]) -> int:
    """The exit code of a command line. Prints; never raises what a user should not see (`--debug` prints it too)."""
    debug = "--debug" in arguments
    try:
        options = _parsed(arguments)
        options.words = list(arguments)
        _configure_logging(debug)
        return int(options.command(options))
    except SystemExit as end:  # --help and --version
        return int(end.code or 0)
    except QualityError as error:
        if debug:
            traceback.print_exc()
        print(_shown(error), file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted; nothing of an unfinished run is visible", file=sys.stderr)
        return 130
    except BrokenPipeError:
        raise
    except Exception as error:
        if debug:
            traceback.print_exc()
        if isinstance(error, ModuleNotFoundError) and error.name in ("pyspark", "py4j"):
            advice = "pip install 'quality-engine[local]', or run it on a cluster"
            print(f"quality: Spark is not installed for this Python; {advice}", file=sys.stderr)
            return EngineError.exit_code
        text = " ".join(str(error).split())[:500]
        print(f"this should not have happened: {type(error).__name__}: {text} (--debug shows where)", file=sys.stderr)
        return 3


def _shown(error: QualityError) -> str:
    if isinstance(error, RuleFileError):
        count = len(error.problems)
        return f"{error}\n{count} {'mistake' if count == 1 else 'mistakes'}"
    return f"quality: {error}"


def _configure_logging(debug: bool) -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    log = logging.getLogger("quality")
    log.handlers = [handler]
    log.setLevel(logging.DEBUG if debug else logging.WARNING)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="quality", description="Check, split and publish batches of data by rules.", epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False,
    )  # fmt: skip
    parser.add_argument("--version", action="version", version=f"quality {quality.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True, parser_class=_Parser)
    for add in COMMANDS:
        add(commands)
    return parser


if __name__ == "__main__":
    main()
