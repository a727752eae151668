"""What can be demanded: one class per rule type, one module per family. Importing the package registers all of them."""

from quality.rule_types import (
    completeness,
    composition,
    custom,
    dates,
    evolution,
    files,
    formats,
    names,
    patterns,
    relations,
    schema,
    several,
    statistics,
    texts,
    uniqueness,
    values,
    verdicts,
)
from quality.rule_types.base import REGISTRY

__all__ = [
    "REGISTRY",
    "completeness",
    "composition",
    "custom",
    "dates",
    "evolution",
    "files",
    "formats",
    "names",
    "patterns",
    "relations",
    "schema",
    "several",
    "statistics",
    "texts",
    "uniqueness",
    "values",
    "verdicts",
]
