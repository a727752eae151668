"""The checks of SodaCL (version 3) as entries of a rule file: metrics with thresholds and alerts, failed rows, freshness.

`warn` and `fail` say when a check fails, the threshold of a check says when it holds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any

from quality import sql
from quality.rulefile.dqdl.losses import Lost
from quality.rulefile.dqdl.rules_of_ours import Entry
from quality.rulefile.imports import soda_groups
from quality.rulefile.imports.counting import ROWS, filtered
from quality.rulefile.imports.counting import measured as counted_by
from quality.rulefile.imports.soda_metrics import NAMES, measured, recorded
from quality.rulefile.imports.soda_schema import schema
from quality.rulefile.imports.soda_thresholds import Threshold, most, threshold, tolerance
from quality.rulefile.imports.soda_values import KEYS
from quality.rulefile.imports.user_sql import failing_rows, number, refuse
from quality.rulefile.imports.writing import exists_in, reference_name
from quality.rulefile.ruleforms import slug

#: How a check is shown and sampled; nothing that it demands.
_UNHEARD = {"identity", "samples limit", "samples columns", "collect failed rows", "title", "description"}
_ALERTS = {"fail": "error", "warn": "warning"}
_CHECK = re.compile(
    r"(?:change(?:\s+(?P<how>avg|min|max)\s+last\s+(?P<count>\d+)|\s+same day last (?P<same>\w+))?"
    r"(?P<percent>\s+percent)?\s+for\s+)?"
    r"(?P<metric>[A-Za-z_][^\s<>=()\[\],]*)\s*(?:\((?P<args>[^)]*)\))?\s*(?P<threshold>.*)"
)
_REFERENCE = re.compile(
    r"values in\s+(?P<ours>\([^)]*\)|\S+)\s+must\s+(?P<not>not\s+)?exist in\s+(?P<other>\"[^\"]+\"|`[^`]+`|\S+)\s+"
    r"(?P<theirs>\([^)]*\)|\S+)\s*"
)
_SAME_ROWS = re.compile(r"row_count same as\s+(?P<other>\"[^\"]+\"|`[^`]+`|[^\s\[]+)(?P<source>\s+(?:\[.*|in\s.*))?")
_ANOMALY = re.compile(
    r"anomaly (?:score|detection) for\s+(?P<metric>\w+)\s*(?:\((?P<args>[^)]*)\))?\s*(?:<\s*(?P<limit>\S+))?\s*"
)
_ARGUMENT = re.compile(r"\s*(\"[^\"]*\"|`[^`]*`|[^,]+)\s*(?:,|\Z)")
#: How far a batch of the same day of an earlier week lies back.
_SAME_DAY = {"week": "index(last 7, 6)"}
_NO_SHARE = "without the word 'percent' its '%' says nothing: the threshold is a difference, not a share"
_DAILY = "the seventh batch before is taken for that of the same day of last week: one batch a day is meant"


def entries(
    check: str,
    config: Mapping[str, Any],
    columns: Mapping[str, Mapping[str, Any]],
    where: str,
    variables: Mapping[str, str] | None = None,
) -> list[Entry]:
    """The entries that demand together what a check does. `columns` are configurations of the whole data set, `where` its
    filter, `variables` those that have a value. Raises Lost."""
    if any("${" in text for text in _texts([check, config, where])):
        raise Lost("its variable (${...}) has no value here; give it under 'variables' or by --var")
    given = {key: value for key, value in config.items() if key not in _UNHEARD}
    beside = _beside(given, where)
    if check == "schema":
        # what columns there are depends on no row
        beside.pop("where", None)
        made = schema(given)
    elif check == "failed rows":
        made = _failed_rows(given)
    elif check == "group by":
        made = [entry for rule in soda_groups.checks(given) for entry in _grouped(rule)]
    else:
        made = _other(check, given, columns, variables or {})
    if "where" in beside and any(key.endswith(" query") for key in config):
        raise Lost("its filter does not reach into a query; write the condition there")
    return [filtered(replace(one, beside={**beside, **one.beside, **_scope(beside, one)})) for one in made]


def watched(
    check: str, config: Mapping[str, Any], columns: Mapping[str, Mapping[str, Any]], where: str
) -> tuple[list[Entry], list[str]]:
    """The entries that measure what anomalies are looked for in, and how the detector calls that. Raises Lost."""
    found = _ANOMALY.fullmatch(check)
    if found is None:
        raise Lost("it is no check that is known here")
    arguments = [one.strip().strip('"`') for one in _ARGUMENT.findall(found["args"] or "")]
    kept = sorted(
        {*config} - {*_UNHEARD, "name", "attributes", "severity_level_params", "training_dataset_params", "model"}
    )
    if where or kept or (arguments and columns.get(arguments[0])):
        raise Lost("anomalies are looked for in metrics of all rows and values, without keys and filters")
    if found["metric"] != "row_count" and not arguments:
        raise Lost("it names no column")
    entry, name = recorded(found["metric"], arguments)
    told = "; ".join(text for text in (entry.differs, _DETECTOR) if text)
    return [replace(entry, differs=told)], [name]


_DETECTOR = "the section 'anomalies' has a detector of its own, and learns from published batches"


def _grouped(rule: soda_groups.Grouped) -> list[Entry]:
    """A check of groups with its alerts."""
    alerts = dict(rule.config)
    name = {"name": str(alerts.pop("name"))} if alerts.get("name") else {}
    asked = _thresholds(rule.threshold, alerts)
    _refuse({key: value for key, value in alerts.items() if key not in _UNHEARD})
    if not asked:
        raise Lost("it has no threshold")
    found = []
    for limit, beside in asked:
        entry = measured(rule.metric, rule.arguments, {}, limit)
        where = {"where": rule.where} if rule.where else {}
        found.append(replace(entry, beside={**name, **entry.beside, **where, "group_by": rule.columns, **beside}))
    return found


def _texts(value: Any) -> list[str]:
    if isinstance(value, Mapping):
        return [text for one in value.items() for text in _texts(list(one))]
    if isinstance(value, list):
        return [text for one in value for text in _texts(one)]
    return [value] if isinstance(value, str) else []


def _beside(given: dict[str, Any], where: str) -> dict[str, Any]:
    """What goes with a check of any kind, taken out of its keys."""
    name, own, attributes = given.pop("name", None), given.pop("filter", None), given.pop("attributes", None)
    found: dict[str, Any] = {"name": str(name)} if name else {}
    for condition in (where, own):
        if condition and sql.problems(str(condition)):
            raise Lost(f"its filter cannot be used: {'; '.join(sql.problems(str(condition)))}")
    conditions = [str(one) for one in (where, own) if one]
    if conditions:
        found["where"] = conditions[0] if len(conditions) == 1 else " and ".join(f"({one})" for one in conditions)
    if isinstance(attributes, dict) and attributes:
        found["labels"] = {
            key: ", ".join(map(str, v)) if isinstance(v, list) else str(v) for key, v in attributes.items()
        }
    return found


def _scope(beside: Mapping[str, Any], entry: Entry) -> dict[str, Any]:
    """The filter of the check together with the one that the entry has of its own."""
    own, outer = entry.beside.get("where"), beside.get("where")
    return {"where": f"({outer}) and ({own})"} if own and outer else {}


def _thresholds(text: str, given: dict[str, Any]) -> list[tuple[Threshold, dict[str, Any]]]:
    """What must hold, with the severity, of the text behind a metric and of its alerts."""
    found = [(threshold(text), dict[str, Any]())] if text else []
    for word, severity in _ALERTS.items():
        if word in given:
            # several are one text, each with its own 'when'
            asked = str(given.pop(word)).strip().removeprefix("when")
            for one in re.split(r"\bwhen\b", asked):
                failing = threshold(one)
                holds = replace(failing, outside=not failing.outside)
                found.append((holds, {} if severity == "error" else {"severity": severity}))
    return found


def _failed_rows(given: dict[str, Any]) -> list[Entry]:
    if "fail query" in given:
        return _returned(str(given.pop("fail query")), given)
    condition = str(given.pop("fail condition", "")).strip()
    if not condition or sql.problems(condition):
        raise Lost(f"its fail condition cannot be used: {'; '.join(sql.problems(condition))}")
    asked = _thresholds("", given) or [(Threshold({"at_most": 0}), {})]
    _refuse(given)
    return [replace(one := failing(condition, limit), beside={**one.beside, **beside}) for limit, beside in asked]


def _returned(query: str, given: dict[str, Any]) -> list[Entry]:
    """So many rows may be returned by a query."""
    asked = _thresholds("", given) or [(Threshold({"at_most": 0}), {})]
    _refuse(given)
    found = []
    for limit, beside in asked:
        allowed = most(limit, percent=False)
        if allowed is not None:
            made = failing_rows(query, tolerance(allowed), "failed-rows")
        else:
            made = number(f"select count(*) from ({query})", _numbers(limit), "failed-rows")
        found.append(replace(made, beside={**made.beside, **beside}))
    return found


def _numbers(limit: Threshold) -> Mapping[str, Any]:
    """Bounds of a number. Raises Lost."""
    words = limit.words()
    if any(isinstance(value, timedelta) for value in words.values()):
        raise Lost("its threshold is a length of time")
    return words


def _of_sql(
    metric: str, given: dict[str, Any], threshold_text: str, changed: Callable[[Threshold], Threshold]
) -> list[Entry]:
    """A metric that is a query, or an expression over rows, with its thresholds and alerts."""
    query, expression = given.pop(f"{metric} query", ""), given.pop(f"{metric} expression", "")
    asked = _thresholds(threshold_text, given)
    _refuse(given)
    if not asked:
        raise Lost("it has no threshold")
    found = []
    for limit, beside in asked:
        words = _numbers(changed(limit))
        if query:
            made = number(str(query), words, slug(metric))
        else:
            refuse(f"select {expression} from this")
            made = counted_by(slug(metric), f"select {expression} from {ROWS}", words)
        found.append(replace(made, beside={**made.beside, **beside}))
    return found


def failing(condition: str, limit: Threshold) -> Entry:
    """So many rows may comply with a condition. Raises Lost."""
    allowed = most(limit, percent=False)
    if allowed is None:
        return Entry("row_count", dict(limit.words()), {"where": condition}, "failed-rows")
    return Entry("that", f"not ({condition})", tolerance(allowed), "failed-rows")


def _refuse(given: Mapping[str, Any]) -> None:
    for key in given:
        raise Lost(f"its key '{key}' has no form yet")


def _other(
    check: str, given: dict[str, Any], columns: Mapping[str, Mapping[str, Any]], variables: Mapping[str, str]
) -> list[Entry]:
    found = _REFERENCE.fullmatch(check)
    if found:
        _refuse(given)
        return [_exists(found)]
    found = _SAME_ROWS.fullmatch(check)
    if found:
        _refuse(given)
        if found["source"]:
            raise Lost("a data set of another data source is declared by hand, under 'references'")
        return [Entry("row_count_match", {"reference": reference_name(found["other"])})]
    for start, why in _NONE.items():
        if check.startswith(start):
            raise Lost(why)
    return _metric(check, given, columns, variables)


def _metric(
    check: str, given: dict[str, Any], columns: Mapping[str, Mapping[str, Any]], variables: Mapping[str, str]
) -> list[Entry]:
    """A metric with its thresholds and alerts."""
    old = re.fullmatch(r"freshness using\s+(\S+)(?:\s+with\s+(\S+))?\s*(.*)", check)
    if old:
        check = f"freshness({old[1]}{', ' + old[2] if old[2] else ''}) {old[3]}"
    found = _CHECK.fullmatch(check.strip())
    if found is None:
        raise Lost("it is no check that is known here")
    arguments = [one.strip().strip('"`') for one in _ARGUMENT.findall(found["args"] or "")]
    metric = found["metric"]
    if metric == "freshness":
        arguments[1:] = [variables.get(name, name) for name in arguments[1:]]
    if metric not in NAMES:
        if f"{metric} expression" in given or f"{metric} query" in given:
            return _of_sql(metric, given, found["threshold"].strip(), partial(_changed, found))
        raise Lost(f"the metric '{metric}' has no form yet")
    if metric != "row_count" and not arguments:
        raise Lost("it names no column")
    name = arguments[0] if arguments else ""
    keys = {**columns.get(name, {}), **{key: given.pop(key) for key in KEYS if key in given}}
    asked = _thresholds(found["threshold"].strip(), given)
    _refuse(given)
    if not asked:
        raise Lost("it has no threshold")
    made = []
    is_difference = check.startswith("change") and not found["percent"] and "%" in found["threshold"]
    told = "; ".join([*([_DAILY] if found["same"] else []), *([_NO_SHARE] if is_difference else [])])
    for limit, beside in asked:
        entry = measured(metric, arguments, keys, _changed(found, limit), told)
        made.append(replace(entry, beside={**entry.beside, **beside}))
    return made


def _exists(check: re.Match[str]) -> Entry:
    ours, theirs = (
        [name.strip().strip('"`') for name in check[group].strip("() ").split(",")] for group in ("ours", "theirs")
    )
    rule = exists_in(ours, check["other"].strip('"`'), theirs)
    if check["not"]:
        return Entry("not", [rule], about=f"{ours[0]}.not_in_{reference_name(check['other'])}")
    return Entry("exists_in", rule["exists_in"])


def _changed(check: re.Match[str], limit: Threshold) -> Threshold:
    """The threshold of a change as bounds that come from earlier batches."""
    if not check[0].startswith("change"):
        return limit
    if check["same"] and check["same"] not in _SAME_DAY:
        raise Lost(f"the batch of the same day of last {check['same']} is not known: batches are counted, not days")
    how = {"avg": "mean"}.get(check["how"], check["how"])
    past = f"{how}(last {check['count']})" if how else _SAME_DAY.get(check["same"], "last")

    def formula(value: Any) -> str:
        if isinstance(value, timedelta):
            raise Lost("its threshold is a length of time")
        if check["percent"]:
            return f"{1 + Decimal(value) / 100:f} * {past}"
        return f"{past} {'-' if value < 0 else '+'} {abs(value)}"

    return Threshold({word: formula(value) for word, value in limit.bounds.items()}, limit.outside)


#: Why a check has no form, by how it begins.
_NONE = {
    "distribution_difference": "a column is held against earlier batches ('drift'), not against a file of a distribution",
    "group evolution": "which groups there are is not held against the batch before",
    "for each": "checks inside of 'for each column' have no form yet",
}
