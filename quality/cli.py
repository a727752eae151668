"""The command `quality`: reads arguments, calls the engine, prints. No logic lives here.

Spark is imported by the commands that need it, so that `lint` answers in milliseconds.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import re
import shlex
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import quality
from quality.errors import EngineError, Problem, QualityError, RuleFileError, StorageError, UsageError, did_you_mean
from quality.model import gravest_exit
from quality.planner import Plan

EXIT_CODES = """exit codes: 0 passed (warnings too)  1 rules failed, published  2 usage or rule file wrong
            3 input, Spark or storage failed  4 held: readers keep the previous version"""


class _Parser(argparse.ArgumentParser):
    """Ends with one line and exit code 2; a mistyped word gets the one that was meant."""

    def error(self, message: str) -> NoReturn:
        """Raise what `main` prints."""
        raise UsageError(f"{_with_hint(message, self)}\n{self.format_usage().strip()}")


_INVALID_CHOICE = re.compile(r"argument (?P<option>.*): invalid choice: (?P<quote>['\"])(?P<word>.*?)(?P=quote) \(")


def _with_hint(message: str, parser: argparse.ArgumentParser) -> str:
    wrong = _INVALID_CHOICE.match(message)
    if wrong and wrong["option"] == "COMMAND":
        return f"'{wrong['word']}' is not a command; {did_you_mean(wrong['word'], _commands(parser), 'commands')}"
    if wrong:
        action = next(a for a in parser._actions if wrong["option"] in ("/".join(a.option_strings), a.metavar, a.dest))
        allowed = [str(choice) for choice in action.choices or ()]
        return f"{wrong['option']} cannot be '{wrong['word']}'; {did_you_mean(wrong['word'], allowed)}"
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
        if len(word) > 1 and word[0] == "-" and option not in parser._option_string_actions:
            words = [known for known in parser._option_string_actions if known.startswith("--")]
            parser.error(f"'{option}' is not an argument; {did_you_mean(option, words, 'arguments')}")
    options, unknown = whole.parse_known_args(list(arguments))
    if unknown:
        parser.error(f"'{unknown[0]}' is one argument too many")
    return options


def _parser_of(whole: argparse.ArgumentParser, arguments: Sequence[str]) -> argparse.ArgumentParser:
    word = next((word for word in arguments if not word.startswith("-")), "")
    groups = whole._subparsers._group_actions if whole._subparsers else []
    found = [group.choices[word] for group in groups if isinstance(group.choices, dict) and word in group.choices]
    return found[0] if found else whole


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
    for add in (_add_run, _add_lint, _add_plan, _add_rules, _add_schema, _add_paths, _add_doctor, _add_jars, _add_demo):
        add(commands)
    return parser


def _command(commands: Any, name: str, action: Callable[[argparse.Namespace], int], help: str, example: str) -> Any:
    parser = commands.add_parser(
        name, help=help, description=help, epilog=f"example:\n  {example}\n\n{EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False,
    )  # fmt: skip
    parser.set_defaults(command=action)
    parser.add_argument("--debug", action="store_true", help="show tracebacks and what the engine does")
    return parser


def _add_rule_arguments(parser: Any) -> None:
    parser.add_argument("--var", action="append", default=[], metavar="NAME=VALUE", help="a value for the file's vars")
    parser.add_argument(
        "--allow-env", action="append", default=[], metavar="NAME", help="a variable that env() may read"
    )
    parser.add_argument("--input", metavar="PATH", help="read this instead of the file's input")
    parser.add_argument("--root", metavar="PATH", help="keep results here instead of the file's outputs.root")


def _variables(options: argparse.Namespace) -> dict[str, str]:
    pairs = [text.partition("=") for text in options.var]
    for name, sign, _ in pairs:
        if not sign or not name:
            raise UsageError(f"--var takes NAME=VALUE, got '{name}'")
    return {name: value for name, _, value in pairs}


def _rule_options(options: argparse.Namespace) -> dict[str, Any]:
    return {
        "variables": _variables(options),
        "allow_env": frozenset(options.allow_env),
        "input": options.input,
        "root": options.root,
    }


# run


def _add_run(commands: Any) -> None:
    example = "quality run rules/orders.yml --batch 2024-01-02 --var incoming=s3://bucket/incoming"
    parser = _command(commands, "run", _run, "run rule files on batches: judge, split, publish or hold", example)
    parser.add_argument("rules", nargs="+", metavar="RULES", help="rule files")
    parser.add_argument("--batch", action="append", required=True, help="the batch to run; several are run one by one")
    _add_rule_arguments(parser)
    parser.add_argument("--force", action="store_true", help="run although nothing changed since the last run")
    parser.add_argument("--engine", default="auto", help="auto, deequ, deequ-runner or spark")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument("--junit", metavar="FILE", help="write the result as JUnit XML, for CI")
    parser.add_argument("--verbose", action="store_true", help="list passed rules too")


def _run(options: argparse.Namespace) -> int:
    from quality.progress import Progress
    from quality.report import junit, terminal

    given = _rule_options(options)
    _refuse_mistakes(options, given)
    from quality.runs import run_batches

    with Progress(sys.stderr, quiet=options.json) as progress:
        results = run_batches(
            options.rules, options.batch, force=options.force, engine=options.engine, progress=progress.told, **given
        )
    found = [dict(result.data) for result in results]
    if options.junit:
        _write(options.junit, junit.render(found))
    if options.json:
        print(json.dumps(_together(found), ensure_ascii=False, indent=1))
    else:
        command = f"quality {shlex.join(word for word in options.words if word not in ('--force', '--verbose'))}"
        terminal.show(_together([{**data, "command": command} for data in found]), verbose=options.verbose)
    return gravest_exit(result.exit_code for result in results)


def _refuse_mistakes(options: argparse.Namespace, given: dict[str, Any]) -> None:
    """A mistake in the last file or batch must not be found after an hour in the first."""
    from quality.rulefile import load
    from quality.storage.layout import check_batch

    if options.junit and not Path(options.junit).resolve().parent.is_dir():
        raise UsageError(f"--junit {options.junit}: there is no directory {Path(options.junit).resolve().parent}")
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


# lint, plan, rules, schema


def _add_lint(commands: Any) -> None:
    parser = _command(
        commands, "lint", _lint, "check rule files, without data and without Spark", "quality lint rules/*.yml"
    )
    parser.add_argument("rules", nargs="+", metavar="RULES", help="rule files")
    parser.add_argument("--batch", help="render templates for this batch")
    parser.add_argument(
        "--expand", action="store_true", help="print the whole file, every rule in its one canonical form"
    )
    parser.add_argument("--json", action="store_true", help="print what was found as JSON")
    _add_rule_arguments(parser)


def _lint(options: argparse.Namespace) -> int:
    from quality.rulefile.lint import expanded, lint

    given = _rule_options(options)
    if options.expand and (len(options.rules) > 1 or options.json):
        raise UsageError("--expand prints one rule file as YAML")
    reports = [
        lint(path, options.batch, given["variables"], given["allow_env"], given["input"], given["root"])
        for path in options.rules
    ]
    if options.json:
        print(json.dumps([report.to_dict() for report in reports], ensure_ascii=False, indent=1))
    for report in reports if not options.json else ():
        for problem in report.problems:
            print(problem, file=sys.stderr)
        for warning in report.warnings:
            print(f"{warning} (warning)", file=sys.stderr)
        if report.rule_set:
            rules = "1 rule" if len(report.rule_set.rules) == 1 else f"{len(report.rule_set.rules)} rules"
            print(f"{'# ' if options.expand else ''}{report.file}: {rules}, no mistakes")
            print(expanded(report), end="") if options.expand else None
    wrong = sum(len(report.problems) for report in reports)
    if wrong and not options.json:
        print(f"{wrong} {'mistake' if wrong == 1 else 'mistakes'}", file=sys.stderr)
    return 2 if wrong else 0


def _add_plan(commands: Any) -> None:
    example = "quality plan rules/orders.yml --batch 2024-01-02"
    parser = _command(commands, "plan", _plan, "show what a run would do; reads nothing but the schema", example)
    parser.add_argument("rules", metavar="RULES", help="the rule file")
    parser.add_argument("--batch", required=True, help="the batch whose schema is read")
    parser.add_argument("--json", action="store_true", help="print the plan as JSON")
    _add_rule_arguments(parser)


def _plan(options: argparse.Namespace) -> int:
    from quality.progress import Progress
    from quality.report import plans
    from quality.runs import describe

    with Progress(sys.stderr, quiet=options.json) as progress:
        progress.told("reading the schema")
        plan: Plan = describe(options.rules, options.batch, **_rule_options(options))
    print(json.dumps(plans.to_dict(plan), ensure_ascii=False, indent=1) if options.json else plans.render(plan))
    return 0


def _add_rules(commands: Any) -> None:
    parser = _command(
        commands, "rules", _rules, "list the rule types, with documentation and examples", "quality rules between"
    )
    parser.add_argument("type", nargs="*", metavar="TYPE", help="show only these")
    parser.add_argument("--format", choices=["text", "markdown", "json"], default="text")


def _rules(options: argparse.Namespace) -> int:
    from quality.report import reference
    from quality.rule_types import REGISTRY

    for word in options.type:
        if word not in REGISTRY:
            raise UsageError(f"'{word}' is not a rule type; {did_you_mean(word, sorted(REGISTRY), 'types')}")
    print(reference.render(options.type or sorted(REGISTRY), options.format))
    return 0


def _add_schema(commands: Any) -> None:
    _command(
        commands,
        "schema",
        _schema,
        "print the JSON Schema of rule files, for editors",
        "quality schema > quality.schema.json",
    )


def _schema(_options: argparse.Namespace) -> int:
    from quality.rulefile.schema import json_schema

    print(json.dumps(json_schema(), indent=1))
    return 0


# data and machine


def _add_paths(commands: Any) -> None:
    example = "quality paths flights --batch 2013-01-01 --root quality-data"
    parser = _command(commands, "paths", _paths, "print the live files of a data set, one a line", example)
    parser.add_argument("dataset")
    parser.add_argument("--batch", help="of this batch only")
    parser.add_argument("--side", default="passed", help="passed, quarantine or flags")
    parser.add_argument("--run", help="of this run, published or held")
    parser.add_argument("--root", default=os.environ.get("QUALITY_ROOT", "quality-data"), help="where results are kept")


def _paths(options: argparse.Namespace) -> int:
    from quality.storage.readers import paths

    for path in paths(options.root, options.dataset, options.batch, options.side, options.run):
        print(path)
    return 0


def _add_doctor(commands: Any) -> None:
    parser = _command(
        commands,
        "doctor",
        _doctor,
        "say what is missing on this machine and how to get it",
        "quality doctor --root s3://bucket/dq",
    )
    parser.add_argument("--root", help="also try this place for results")
    parser.add_argument("--json", action="store_true")


def _doctor(options: argparse.Namespace) -> int:
    from dataclasses import asdict

    from quality.doctor import checks

    found = checks(options.root)
    if options.json:
        print(json.dumps([asdict(check) for check in found], indent=1))
    for check in found if not options.json else ():
        sign = {True: "ok", False: "missing", None: "unknown"}[check.ok]
        print(
            f"{sign:8} {check.name}: {check.found}"
            + (f"\n         {check.advice}" if check.ok is not True and check.advice else "")
        )
    return 3 if any(check.ok is False for check in found) else 0


def _add_jars(commands: Any) -> None:
    parser = _command(commands, "jars", _jars, "print or fetch the jars a cluster needs", "quality jars --fetch")
    parser.add_argument("--fetch", action="store_true", help="fetch them into the cache and print their paths")
    parser.add_argument("--location", help="where the jar is kept for the cluster, such as s3://bucket/jars/")
    parser.add_argument("--json", action="store_true")


def _jars(options: argparse.Namespace) -> int:
    from quality import jars

    if options.fetch:
        print(jars.fetch())
        return 0
    described = jars.describe(options.location).to_dict()
    if options.json:
        print(json.dumps(described, indent=1))
    for name, value in described.items() if not options.json else ():
        print(f"{name}: {value}")
    return 0


def _add_demo(commands: Any) -> None:
    parser = _command(
        commands, "demo", _demo, "run the main job on real flights, one day of them poisoned", "quality demo --days 5"
    )
    parser.add_argument("--days", type=int, default=4, help="days of January 2013 to run before the poisoned one")
    parser.add_argument("--directory", default="demo", help="where data and results go")


def _demo(options: argparse.Namespace) -> int:
    from quality.demo import demo

    return demo(Path(options.directory), options.days)


if __name__ == "__main__":
    main()
