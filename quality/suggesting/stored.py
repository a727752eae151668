"""Facts from the metrics that profiles left in the history: no file is read again, and no rows are there to look at."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from quality.profiles import read_bins
from quality.suggesting.facts import MOMENT, NUMBER, OTHER, TEXT, TRUTH, Batch, Facts


def of_metrics(id: str, rows: Iterable[Mapping[str, Any]]) -> Batch | None:
    """A batch by its rows of the table `metrics`; None when it has not been profiled. The history knows no types: a number
    is whole when all its values are known and whole."""
    columns: dict[str, dict[str, Mapping[str, Any]]] = {}
    size, nulls = None, None
    for row in rows:
        if row["filter"] or row["segment"]:
            continue
        if row["instance"] == "*":
            size = int(row["value"] or 0) if row["name"] == "Size" else size
            nulls = _json(row) if row["name"] == "NullPatterns" else nulls
        elif row["parameters"] in (None, "", "{}"):
            columns.setdefault(row["instance"], {})[row["name"]] = row
    if size is None or nulls is None:
        return None
    patterns = {frozenset(one["columns"]): int(one["rows"]) for one in nulls}
    facts = {name: _facts(found) for name, found in columns.items() if "Completeness" in found}
    return Batch(id, size, facts, patterns)


def _facts(found: Mapping[str, Mapping[str, Any]]) -> Facts:
    present = int(found["Completeness"]["numerator"] or 0)
    distinct = int(_value(found, "ApproxCountDistinct") or 0)
    top = _json(found["Histogram"]) if "Histogram" in found else {}
    pairs = {str(text): int(count) for text, count in top.get("values", ())}
    values = pairs if top.get("exact") else None
    common: dict[str, Any] = {"distinct": distinct, "values": values, "frequent": tuple(pairs)[:100], "common": pairs}
    if "Lengths" in found:
        shapes = _json(found["Shapes"]) if "Shapes" in found else {}
        common["shapes"] = dict(shapes["values"]) if shapes.get("exact") else None
        shortest, longest = _value(found, "MinLength"), _value(found, "MaxLength")
        common |= {"shortest": _int(shortest), "longest": _int(longest)}
        return Facts(TEXT, "string", present, **common)
    if "ApproxQuantiles" not in found:
        return Facts(TRUTH if values and set(values) <= {"true", "false"} else OTHER, "", present, **common)
    common |= {"low": _value(found, "Minimum"), "high": _value(found, "Maximum")}
    common["bins"] = read_bins(_bytes(found["ApproxQuantiles"]))
    if "Mean" not in found and present:
        dates = len(str(found.get("Minimum", {}).get("exact") or "")) == len("2000-01-01")
        return Facts(MOMENT, "date" if dates else "timestamp", present, **common)
    whole = bool(values) and all(text.lstrip("-").isdigit() for text in values or ())
    mean, spread = _value(found, "Mean"), _value(found, "StandardDeviation")
    return Facts(NUMBER, "int" if whole else "double", present, mean=mean, spread=spread, **common)


def _value(found: Mapping[str, Mapping[str, Any]], name: str) -> float | None:
    value = found[name]["value"] if name in found else None
    return None if value is None else float(value)


def _int(value: float | None) -> int | None:
    return None if value is None else int(value)


def _bytes(row: Mapping[str, Any]) -> bytes:
    return bytes((row["sketch"] or {}).get("bytes") or b"")


def _json(row: Mapping[str, Any]) -> Any:
    return json.loads(_bytes(row) or b"{}")
