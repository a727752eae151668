"""Words of other tools for our rule types: a message says which is ours."""

from __future__ import annotations

#: What other tools call it.
SYNONYMS = {
    "not_null": "required", "notnull": "required", "is_complete": "required",
    "accepted_values": "in", "enum": "in", "allowed": "in", "one_of": "in", "is_in": "in", "in_set": "in",
    "regex": "matches", "pattern": "matches", "rlike": "matches",
    "primary_key": "key", "primary": "key", "is_primary_key": "key", "is_unique": "unique",
    "expression": "that", "check": "that", "condition": "that", "satisfies": "that",
    "range": "between", "minimum": "at_least", "maximum": "at_most", "gt": "above", "ge": "at_least", "lt": "below",
    "le": "at_most", "eq": "equals", "avg": "mean", "average": "mean", "percentile": "quantile",
    "std": "stddev", "var": "variance", "count": "row_count", "size": "row_count", "rows": "row_count", "datatype": "type", "dtype": "type",
}  # fmt: skip
