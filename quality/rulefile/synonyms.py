"""Words of other tools for our rule types: a message says which is ours."""

from __future__ import annotations

#: What other tools call it.
SYNONYMS = {
    "not_null": "required", "notnull": "required", "is_complete": "required", "nullable": "required", "non_null": "required",
    "accepted_values": "in", "enum": "in", "allowed": "in", "one_of": "in", "is_in": "in", "in_set": "in",
    "regex": "matches", "pattern": "matches", "rlike": "matches",
    "primary_key": "key", "primary": "key", "is_primary_key": "key", "is_unique": "unique",
    "expression": "that", "check": "that", "condition": "that", "satisfies": "that",
    "range": "between", "minimum": "at_least", "maximum": "at_most", "gt": "above", "ge": "at_least", "lt": "below",
    "le": "at_most", "eq": "equals", "avg": "mean", "average": "mean", "percentile": "quantile",
    "greater_than": "above", "less_than": "below", "gte": "at_least", "lte": "at_most", "in_range": "between", "not_empty_string": "not_empty",
    "foreign_key": "exists_in", "relationships": "exists_in", "references": "exists_in", "referential_integrity": "exists_in",
    "cardinality": "distinct_count", "approx_distinct": "distinct_count", "null_ratio": "completeness", "custom_sql": "sql",
    "std": "stddev", "var": "variance", "count": "row_count", "size": "row_count", "rows": "row_count", "datatype": "type", "dtype": "type",
}  # fmt: skip
