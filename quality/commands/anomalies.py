"""The commands about anomalies: judge a batch of the history by hand, accept a new normal."""

from __future__ import annotations

import argparse
import json
import os
from typing import Any

from quality.commands.common import command
from quality.errors import UsageError

_ACCEPT = "accept"


def add_anomalies(commands: Any) -> None:
    """Add `quality anomalies`. `accept` is a word before the data set, so that judging needs none."""
    parser = command(
        commands,
        "anomalies",
        _anomalies,
        "judge a batch of the history by those before it; with 'accept', note that a batch is the new normal",
        "quality anomalies flights --batch 2013-07-04\n"
        '  quality anomalies accept flights --batch 2013-07-04 --metric Size --reason "new carrier"',
    )
    parser.add_argument(
        "asked", nargs="+", metavar="DATASET", help="the id of a data set; 'accept' before it accepts a batch"
    )
    parser.add_argument("--batch", help="the batch; default: the newest that is live")
    parser.add_argument(
        "--root",
        metavar="PATH",
        help="where results are kept; default: what the rule file says, else QUALITY_ROOT, else quality-data",
    )
    parser.add_argument(
        "--metric",
        action="append",
        default=[],
        metavar="METRIC",
        help="these metrics alone: a name, or a name with its column: Size, Mean(dep_delay)",
    )
    parser.add_argument("--rules", metavar="RULES", help="judge as the section 'anomalies' of this rule file says")
    parser.add_argument(
        "--false-alarms", metavar="SHARE", help="share of good batches that may be flagged; default: 1%%"
    )
    parser.add_argument("--season", help="auto, daily, weekly or none; default: auto")
    parser.add_argument("--calendar", metavar="FILE", help="a calendar of holidays, incidents and releases")
    parser.add_argument("--reason", default="", metavar="TEXT", help="of accept: why; kept in the note")
    parser.add_argument("--by", metavar="NAME", help="of accept: who; default: the user of this process")
    parser.add_argument("--json", action="store_true", help="print what was found as JSON")


def _anomalies(options: argparse.Namespace) -> int:
    if options.asked[0] == _ACCEPT and len(options.asked) == 2:
        return _accept(options, options.asked[1])
    if options.asked == [_ACCEPT] and options.batch:
        raise UsageError("DATASET is missing after 'accept'")
    if len(options.asked) != 1:
        raise UsageError(f"takes DATASET or accept DATASET, got '{' '.join(options.asked)}'")
    return _judge(options, options.asked[0])


def _accept(options: argparse.Namespace, dataset: str) -> int:
    from quality.anomalies import accept, is_held
    from quality.storage.store import open_store

    if not options.batch:
        raise UsageError("--batch is missing: the batch that is the new normal")
    store = open_store(_root(options, _loaded(options)))
    key = accept(store, dataset, options.batch, metrics=options.metric, by=options.by, reason=options.reason)
    if options.json:
        print(json.dumps({"accepted": options.batch, "metrics": options.metric, "note": store.uri(key)}, indent=1))
        return 0
    what = ", ".join(options.metric) or "everything that moved"
    print(f"{options.batch} of {dataset} is the new normal for {what}; it counts from the next batch on")
    if is_held(store, dataset, options.batch):
        print("it is held, and no part of the history before it is published ('quality publish')")
    return 0


def _judge(options: argparse.Namespace, dataset: str) -> int:
    from quality.anomalies import judge_stored
    from quality.storage.store import open_store

    rule_set = _loaded(options)
    store = open_store(_root(options, rule_set))
    tested, found = judge_stored(store, dataset, options.batch, _settings(options, rule_set))
    if options.json:
        print(json.dumps({"dataset": dataset, "batch": tested.id, **found.to_dict()}, ensure_ascii=False, indent=1))
        return 0
    print(f"{tested.id} of {dataset}, by {found.batches:,} batches before it: {found.message}")
    for anomaly in found.anomalies:
        print(f"  {anomaly.message}")
    return 0


def _loaded(options: argparse.Namespace) -> Any:
    """The rule file, where one is named."""
    from quality.rulefile import load
    from quality.rulefile.references import unread_input

    return load(options.rules, input_path=unread_input(options.rules)) if options.rules else None


def _root(options: argparse.Namespace, rule_set: Any) -> str:
    said = rule_set.outputs.root if rule_set else os.environ.get("QUALITY_ROOT", "quality-data")
    return str(options.root or said)


def _settings(options: argparse.Namespace, rule_set: Any) -> Any:
    """What the rule file says, and what the options say instead."""
    from dataclasses import replace

    from quality.rule_types.rules import AnomalySettings
    from quality.rulefile.anomalies import read_options

    if rule_set and rule_set.anomalies is None:
        raise UsageError(f"--rules {options.rules}: has no section 'anomalies'")
    settings = rule_set.anomalies if rule_set else AnomalySettings()
    given = {
        "metrics": list(options.metric) or None,
        "false_alarms": options.false_alarms,
        "season": options.season,
    }
    settings = replace(settings, **read_options({key: value for key, value in given.items() if value is not None}))
    return replace(settings, calendar=options.calendar) if options.calendar else settings
