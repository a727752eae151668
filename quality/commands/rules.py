"""The commands about rule files: lint, plan, rules, schema."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from quality.commands.common import (
    add_conf,
    add_dataset,
    add_max_scans,
    add_references,
    add_rule_arguments,
    command,
    references,
    rule_options,
    settings,
)
from quality.errors import RuleFileError, UsageError, did_you_mean
from quality.planner import Plan

if TYPE_CHECKING:
    from quality.rulefile.lint import LintReport


def add_lint(commands: Any) -> None:
    """Add `quality lint`."""
    parser = command(
        commands, "lint", _lint, "check rule files, without data and without Spark", "quality lint rules/*.yml"
    )
    parser.add_argument("rules", nargs="+", metavar="RULES", help="rule files")
    parser.add_argument("--batch", help="render templates for this batch")
    parser.add_argument(
        "--expand", action="store_true", help="print the whole file, every rule in its one canonical form"
    )
    parser.add_argument("--json", action="store_true", help="print what was found as JSON")
    add_rule_arguments(parser)
    add_dataset(parser)
    add_references(parser)


def _lint(options: argparse.Namespace) -> int:
    from quality.rulefile.lint import expanded, lint
    from quality.rulefile.syntax import note

    given = rule_options(options)
    given |= {"input_path": given.pop("input"), "dataset": options.dataset, "references": references(options)}
    if options.expand and (len(options.rules) > 1 or options.json):
        raise UsageError("--expand prints one rule file as YAML")
    reports = [_with_views(lint(path, options.batch, **given)) for path in options.rules]
    if options.json:
        print(json.dumps([report.to_dict() for report in reports], ensure_ascii=False, indent=1))
    for report in reports if not options.json else ():
        for problem in report.problems:
            print(problem, file=sys.stderr)
        for warning in report.warnings:
            print(f"{warning} (warning)", file=sys.stderr)
        if report.rule_set:
            rules = "1 rule" if len(report.rule_set.rules) == 1 else f"{len(report.rule_set.rules)} rules"
            said = note(report.rule_set.rules)
            print(f"{'# ' if options.expand else ''}{report.file}: {rules}, no mistakes{f'; {said}' if said else ''}")
            print(expanded(report), end="") if options.expand else None
    wrong = sum(len(report.problems) for report in reports)
    if wrong and not options.json:
        print(f"{wrong} {'mistake' if wrong == 1 else 'mistakes'}", file=sys.stderr)
    return 2 if wrong else 0


def _with_views(report: LintReport) -> LintReport:
    """The report with the mistakes of the file of views."""
    if report.rule_set is None or not report.rule_set.outputs.views:
        return report
    from quality import targets
    from quality.targets.view_file import read_views

    try:
        read_views(targets.views_file(report.rule_set))
    except RuleFileError as error:
        return replace(report, problems=(*report.problems, *error.problems), rule_set=None)
    return report


def add_plan(commands: Any) -> None:
    """Add `quality plan`."""
    example = "quality plan rules/orders.yml --batch 2024-01-02"
    parser = command(commands, "plan", _plan, "show what a run would do; reads nothing but the schema", example)
    parser.add_argument("rules", metavar="RULES", help="the rule file")
    parser.add_argument("--batch", required=True, help="the batch whose schema is read")
    add_max_scans(parser)
    add_conf(parser)
    parser.add_argument("--json", action="store_true", help="print the plan as JSON")
    add_rule_arguments(parser)
    add_dataset(parser)
    add_references(parser)


def _plan(options: argparse.Namespace) -> int:
    from quality.progress import Progress
    from quality.report import plans
    from quality.runs import describe

    with Progress(sys.stderr, quiet=options.json) as progress:
        progress.told("reading the schema")
        more: Any = {"dataset": options.dataset, "max_scans": options.max_scans, "conf": settings(options)}
        more |= {"references": references(options)}
        plan: Plan = describe(options.rules, options.batch, **rule_options(options), **more)
    print(json.dumps(plans.to_dict(plan), ensure_ascii=False, indent=1) if options.json else plans.render(plan))
    return 0


def add_rules(commands: Any) -> None:
    """Add `quality rules`."""
    parser = command(
        commands, "rules", _rules, "list the rule types, with documentation and examples", "quality rules between"
    )
    parser.add_argument("type", nargs="*", metavar="TYPE", help="show only these")
    parser.add_argument("--format", choices=["text", "markdown", "json"], default="text")


def _rules(options: argparse.Namespace) -> int:
    from quality.report import reference
    from quality.rule_types import REGISTRY
    from quality.rulefile.plugins import load_plugins
    from quality.rulefile.ruleforms import MODIFIERS

    load_plugins(MODIFIERS)
    for word in options.type:
        if word not in REGISTRY:
            raise UsageError(f"'{word}' is not a rule type; {did_you_mean(word, sorted(REGISTRY), 'types')}")
    print(reference.render(options.type or sorted(REGISTRY), options.format))
    return 0


def add_schema(commands: Any) -> None:
    """Add `quality schema`."""
    command(
        commands,
        "schema",
        _schema,
        "print the JSON Schema of rule files, for editors",
        "quality schema > quality.schema.json",
    )


def _schema(_options: argparse.Namespace) -> int:
    from quality.rulefile.plugins import load_plugins
    from quality.rulefile.ruleforms import MODIFIERS
    from quality.rulefile.schema import json_schema

    load_plugins(MODIFIERS)
    print(json.dumps(json_schema(), indent=1))
    return 0
