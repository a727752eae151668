"""The checks of SodaCL (version 3) as entries of a rule file: metrics with thresholds and alerts, failed rows, freshness.

`warn` and `fail` say when a check fails, the threshold of a check says when it holds. What counts bad rows becomes a rule
about rows with a tolerance where the threshold is a most, else the number of rows that comply with a condition.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from quality import sql
from quality.rule_types.args import duration_text
from quality.rulefile.dqdl.losses import Lost
from quality.rulefile.dqdl.rules_of_ours import Entry
from quality.rulefile.imports.soda_schema import schema
from quality.rulefile.imports.soda_values import KEYS, Column, Part
from quality.rulefile.imports.writing import exists_in, reference_name

#: How a check is shown and sampled; nothing that it demands.
_UNHEARD = {"identity", "samples limit", "samples columns", "collect failed rows", "title", "description"}
_ALERTS = {"fail": "error", "warn": "warning"}
_SIGNS = {
    "<": "below",
    "<=": "at_most",
    ">": "above",
    ">=": "at_least",
    "=": "equals",
    "!=": "not_equals",
    "<>": "not_equals",
}
_OPPOSITE = {
    "below": "at_least", "at_least": "below", "above": "at_most", "at_most": "above", "equals": "not_equals",
    "not_equals": "equals",
}  # fmt: skip
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)"
_LIMIT = rf"(?:(?:\d+[dhm])+(?!\w)|{_NUMBER})"
_COMPARED = re.compile(rf"(<=|>=|<>|!=|<|>|=)\s*({_LIMIT})\s*(?:%|percent)?")
_BETWEEN = re.compile(
    rf"(not\s+)?between\s+([\[(])?\s*({_LIMIT})\s*%?\s+and\s+({_LIMIT})\s*%?\s*([\])])?", re.IGNORECASE
)
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
_ARGUMENT = re.compile(r"\s*(\"[^\"]*\"|`[^`]*`|[^,]+)\s*(?:,|\Z)")
_SAMPLE = "Soda's is of a sample (division by n - 1), here it is of the whole (division by n)"
_CHANGE = "the batches before it are those that were published here; it does not apply until there are enough"
#: Metrics of a column by their names here, with how they differ.
_METRICS = {
    "avg": ("mean", ""), "min": ("min", ""), "max": ("max", ""), "sum": ("sum", ""), "min_length": ("min_length", ""),
    "max_length": ("max_length", ""), "stddev_pop": ("stddev", ""), "var_pop": ("variance", ""), "stddev": ("stddev", _SAMPLE),
    "stddev_samp": ("stddev", _SAMPLE), "variance": ("variance", _SAMPLE), "var_samp": ("variance", _SAMPLE),
}  # fmt: skip


@dataclass(frozen=True)
class Threshold:
    """Bounds that must hold; `outside` says that they must not hold together."""

    bounds: Mapping[str, Any]
    outside: bool = False

    def words(self) -> Mapping[str, Any]:
        """The bounds as words of a rule. Raises Lost."""
        if self.outside and len(self.bounds) > 1:
            raise Lost("a number that must lie outside of a range has no form")
        return {_OPPOSITE[word]: value for word, value in self.bounds.items()} if self.outside else self.bounds


def entries(check: str, config: Mapping[str, Any], columns: Mapping[str, Mapping[str, Any]], where: str) -> list[Entry]:
    """The entries that demand together what a check does. `columns` are configurations of the whole data set, `where` its
    filter. Raises Lost."""
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
    else:
        made = _other(check, given, columns)
    return [replace(one, beside={**beside, **one.beside, **_scope(beside, one)}) for one in made]


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


def threshold(text: str) -> Threshold:
    """`> 5`, `<= 2 %`, `between 1 and 5`, `not between (1 and 5]`. Raises Lost."""
    compared = _COMPARED.fullmatch(text.strip())
    if compared:
        return Threshold({_SIGNS[compared[1]]: _limit(compared[2])})
    between = _BETWEEN.fullmatch(text.strip())
    if between is None:
        raise Lost(f"its threshold '{text}' has no form yet")
    low, high = "above" if between[2] == "(" else "at_least", "below" if between[5] == ")" else "at_most"
    return Threshold({low: _limit(between[3]), high: _limit(between[4])}, outside=bool(between[1]))


def _limit(text: str) -> Any:
    parts = re.findall(r"(\d+)([dhm])", text)
    if parts:
        units = {"d": "days", "h": "hours", "m": "minutes"}
        return sum((timedelta(**{units[unit]: int(count)}) for count, unit in parts), timedelta())
    return int(text) if re.fullmatch(r"[-+]?\d+", text) else Decimal(text)


def _failed_rows(given: dict[str, Any]) -> list[Entry]:
    if "fail query" in given:
        raise Lost("rules that are queries have no form yet")
    condition = str(given.pop("fail condition", "")).strip()
    if not condition or sql.problems(condition):
        raise Lost(f"its fail condition cannot be used: {'; '.join(sql.problems(condition))}")
    asked = _thresholds("", given) or [(Threshold({"at_most": 0}), {})]
    _refuse(given)
    return [replace(one := failing(condition, limit), beside={**one.beside, **beside}) for limit, beside in asked]


def failing(condition: str, limit: Threshold) -> Entry:
    """So many rows may comply with a condition. Raises Lost."""
    most = _most(limit, percent=False)
    if most is None:
        return Entry("row_count", dict(limit.words()), {"where": condition}, "failed-rows")
    return Entry("that", f"not ({condition})", _tolerance(most), "failed-rows")


def _refuse(given: Mapping[str, Any]) -> None:
    for key in given:
        raise Lost(f"its key '{key}' has no form yet")


def _other(check: str, given: dict[str, Any], columns: Mapping[str, Mapping[str, Any]]) -> list[Entry]:
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
    old = re.fullmatch(r"freshness using\s+(\S+)(?:\s+with\s+(\S+))?\s*(.*)", check)
    if old:
        check = f"freshness({old[1]}{', ' + old[2] if old[2] else ''}) {old[3]}"
    found = _CHECK.fullmatch(check.strip())
    if found is None:
        raise Lost("it is no check that is known here")
    arguments = [one.strip().strip('"`') for one in _ARGUMENT.findall(found["args"] or "")]
    metric = found["metric"]
    if metric not in _MAKERS and metric not in _METRICS:
        if f"{metric} expression" in given or f"{metric} query" in given:
            raise Lost("metrics that are defined by SQL have no form yet")
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
    for limit, beside in asked:
        entry = measured(metric, arguments, keys, _changed(found, limit))
        made.append(replace(entry, beside={**entry.beside, **beside}))
    return made


def measured(metric: str, arguments: list[str], keys: Mapping[str, Any], limit: Threshold) -> Entry:
    """The entry that demands a threshold of a metric. Raises Lost."""
    make = _MAKERS.get(metric, _column_metric)
    return make(_Asked(metric, arguments, Column(arguments[0] if arguments else "", keys), limit))


def _exists(check: re.Match[str]) -> Entry:
    ours, theirs = (
        [name.strip().strip('"`') for name in check[group].strip("() ").split(",")] for group in ("ours", "theirs")
    )
    rule = exists_in(ours, check["other"].strip('"`'), theirs)
    if check["not"]:
        return Entry("not", [rule], about=f"{ours[0]}.not_in_{reference_name(check['other'])}")
    return Entry("exists_in", rule["exists_in"])


@dataclass(frozen=True)
class _Asked:
    metric: str
    arguments: list[str]
    column: Column
    limit: Threshold

    @property
    def is_past(self) -> bool:
        return any(isinstance(value, str) for value in self.limit.bounds.values())


def _changed(check: re.Match[str], limit: Threshold) -> Threshold:
    """The threshold of a change as bounds that come from earlier batches."""
    if not check[0].startswith("change"):
        return limit
    if check["same"]:
        raise Lost("the batch of the same day of an earlier week or month has no form yet")
    how = {"avg": "mean"}.get(check["how"], check["how"])
    past = f"{how}(last {check['count']})" if how else "last"

    def formula(value: Any) -> str:
        if isinstance(value, timedelta):
            raise Lost("its threshold is a length of time")
        if check["percent"]:
            return f"{1 + Decimal(value) / 100:f} * {past}"
        return f"{past} {'-' if value < 0 else '+'} {abs(value)}"

    return Threshold({word: formula(value) for word, value in limit.bounds.items()}, limit.outside)


def _bounds(asked: _Asked) -> dict[str, Any]:
    words = dict(asked.limit.words())
    if any(isinstance(value, timedelta) for value in words.values()):
        raise Lost("its threshold is a length of time")
    return words


def _differs(asked: _Asked, *more: str) -> str:
    return "; ".join(text for text in (*more, _CHANGE if asked.is_past else "") if text)


def _column_metric(asked: _Asked) -> Entry:
    type, differs = _METRICS[asked.metric]
    counted = asked.column.is_counted()
    beside = {"where": counted} if counted else {}
    return Entry(type, {"column": asked.column.name, **_bounds(asked)}, beside, differs=_differs(asked, differs))


def _row_count(asked: _Asked) -> Entry:
    return Entry("row_count", _bounds(asked), differs=_differs(asked))


def _distinct(asked: _Asked) -> Entry:
    return Entry("distinct_count", {"columns": asked.arguments, **_bounds(asked)}, differs=_differs(asked))


def _percentile(asked: _Asked) -> Entry:
    if len(asked.arguments) != 2:
        raise Lost("it names no share")
    return Entry(
        "quantile",
        {"column": asked.column.name, "q": Decimal(asked.arguments[1]), **_bounds(asked)},
        differs=_differs(asked),
    )


def _duplicates(asked: _Asked) -> Entry:
    if asked.is_past or _most(asked.limit, percent=False) != ("", ""):
        raise Lost("it counts values that occur more than once, which has no form; only that there are none")
    return Entry("unique", {"columns": asked.arguments})


def _freshness(asked: _Asked) -> Entry:
    if len(asked.arguments) > 1:
        raise Lost("a time other than that of the run has no form yet")
    words = dict(asked.limit.words())
    most = words.pop("below", words.pop("at_most", None))
    if words or not isinstance(most, timedelta):
        raise Lost("only how old the newest value may be has a form")
    differs = "a value that is exactly so old is fresh here" if "below" in asked.limit.words() else ""
    return Entry("freshness", {"column": asked.column.name, "at_most": duration_text(most)}, differs=differs)


def _missing(asked: _Asked) -> Entry:
    return _share(asked, asked.column.is_missing, lambda: _there(asked.column))


def _there(column: Column) -> list[Part]:
    """What a value that is not missing complies with, besides not being NULL."""
    parts = column.missing
    if not parts:
        return []
    differs = "; ".join(part.differs for part in parts if part.differs)
    if len(parts) == 1 and "in" in parts[0].rule:
        return [Part({"not_in": parts[0].rule["in"]}, "", differs)]
    return [Part({"not": [part.rule for part in parts]}, "", differs)]


def _invalid(asked: _Asked) -> Entry:
    column = asked.column

    def demands() -> list[Part]:
        if not column.missing:
            return column.demands
        # what is missing is not invalid
        whole = {"all": [part.rule for part in column.demands]} if len(column.demands) > 1 else column.demands[0].rule
        return [Part({"any": [*(part.rule for part in column.missing), whole]}, "", column.demands[0].differs)]

    return _share(asked, column.is_invalid, demands)


def _valid(asked: _Asked) -> Entry:
    column, words = asked.column, asked.limit.words()
    if asked.metric == "valid_percent":
        least = {
            word: 100 - value
            for word, value in words.items()
            if word in ("at_least", "above", "equals") and not isinstance(value, (str, timedelta))
        }
        if len(least) != len(words) or ("equals" in words and words["equals"] != 100):
            raise Lost("only how great the share must at least be has a form")
        turned = {"at_least": "at_most", "above": "below", "equals": "at_most"}
        most = _most(Threshold({turned[word]: value for word, value in least.items()}), percent=True)
        demands = [*_there(column), *column.demands]
        return _rows(demands, most, {"nulls": "fail"})
    return _counted(asked, column.is_valid())


def _share(asked: _Asked, condition: Callable[[], str], demands: Callable[[], list[Part]]) -> Entry:
    """Bad rows: a rule about rows where a most of them is said, else their number."""
    percent = asked.metric.endswith("_percent")
    most = None if asked.is_past else _most(asked.limit, percent=percent)
    missing = asked.metric.startswith("missing")
    if most is None:
        if percent:
            raise Lost("only how great the share may be has a form")
        return _counted(asked, condition())
    parts = demands()
    if missing and not parts:
        return Entry("required", {"column": asked.column.name}, _tolerance(most), differs=_differs(asked, most[1]))
    return _rows(parts, most, {"nulls": "fail"} if missing else {})


def _rows(parts: list[Part], most: tuple[str, str] | None, beside: Mapping[str, Any]) -> Entry:
    rule = parts[0].rule if len(parts) == 1 else {"all": [part.rule for part in parts]}
    ((type, body),) = rule.items()
    differs = "; ".join(dict.fromkeys(text for text in (*(p.differs for p in parts), most[1] if most else "") if text))
    about = ""
    if type in ("all", "any", "not"):
        name = next(iter(_columns(parts[0].rule)), "")
        about = f"{name}.{'there' if beside.get('nulls') and type == 'not' else 'valid'}"
    return Entry(type, body, {**beside, **_tolerance(most)}, about, differs)


def _columns(rule: Any) -> list[str]:
    if isinstance(rule, dict):
        return [value for key, value in rule.items() if key == "column"] + [
            n for v in rule.values() for n in _columns(v)
        ]
    return [name for one in rule for name in _columns(one)] if isinstance(rule, list) else []


def _counted(asked: _Asked, condition: str) -> Entry:
    about = f"{asked.column.name}.{asked.metric}"
    return Entry("row_count", _bounds(asked), {"where": condition}, about, _differs(asked))


def _most(limit: Threshold, *, percent: bool) -> tuple[str, str] | None:
    """The tolerance, '' for none, when the threshold is how many rows may fail, and what differs; None when it is not."""
    words = dict(limit.words())
    if words.get("at_least") == 0 and len(words) > 1:
        del words["at_least"]
    if len(words) != 1 or any(isinstance(value, (str, timedelta)) for value in words.values()):
        return None
    ((word, value),) = words.items()
    if word not in ("at_most", "below", "equals") or (word == "equals" and value != 0) or value < 0:
        return None
    if word == "below" and value == 0:
        return None
    if percent:
        return f"{value}%" if value else "", f"a share of exactly {value} % passes here" if word == "below" else ""
    rows = math.ceil(value) - 1 if word == "below" else math.floor(value)
    return f"{rows} row{'s' if rows > 1 else ''}" if rows else "", ""


def _tolerance(most: tuple[str, str] | None) -> dict[str, Any]:
    if most is None:
        raise Lost("only how many rows may fail has a form")
    return {"tolerance": most[0]} if most[0] else {}


_MAKERS: dict[str, Callable[[_Asked], Entry]] = {
    "row_count": _row_count, "distinct_count": _distinct, "distinct": _distinct, "percentile": _percentile,
    "duplicate_count": _duplicates, "duplicate_percent": _duplicates, "freshness": _freshness, "missing_count": _missing,
    "missing_percent": _missing, "invalid_count": _invalid, "invalid_percent": _invalid, "valid_count": _valid,
    "valid_percent": _valid,
}  # fmt: skip
#: Why a check has no form, by how it begins.
_NONE = {
    "anomaly score": "anomalies are not a rule: see the section 'anomalies' of a rule file",
    "anomaly detection": "anomalies are not a rule: see the section 'anomalies' of a rule file",
    "distribution_difference": "distributions have no form yet",
    "group by": "rules for each group have no form yet",
    "group evolution": "rules for each group have no form yet",
    "for each": "checks inside of 'for each column' have no form yet",
}
