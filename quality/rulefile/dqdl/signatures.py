"""The words of DQDL as a table: rule types and analyzers with what each takes, tags, functions, units, data types."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Signature:
    """What stands behind a rule type: how many parameters (`most` is None for any number), which kind of operand
    (empty: no condition), whether the condition may be left out, whether `where` and functions of the history go with
    it, and its tags."""

    least: int
    most: int | None
    what: str
    operand: str = "number"
    optional: bool = False
    where: bool = False
    history: bool = False
    tags: tuple[str, ...] = ()


_COLUMN = Signature(1, 1, "the column")
_COLUMNS = Signature(1, None, "the columns")
_STATISTIC = replace(_COLUMN, where=True, history=True)
_KEY = replace(_COLUMNS, where=True, history=True)
_FILES = ("recentFiles", "uriRegex", "filterOrder", "failFast")

TYPES: dict[str, Signature] = {
    "AggregateMatch": Signature(2, 2, 'two aggregates such as "sum(a)" and "sum(reference.a)"'),
    "ColumnCorrelation": Signature(2, 2, "two columns", where=True, history=True),
    "ColumnCount": Signature(0, 0, "", history=True),
    "ColumnDataType": replace(_COLUMN, operand="type", where=True, tags=("threshold", "format")),
    "ColumnExists": replace(_COLUMN, operand=""),
    "ColumnLength": replace(_COLUMN, where=True, tags=("threshold",)),
    "ColumnNamesMatchPattern": Signature(1, 1, "the regular expression", operand=""),
    "ColumnValues": replace(_COLUMN, operand="value", where=True, tags=("threshold", "ignoreCase")),
    "Completeness": _STATISTIC,
    "CustomSql": Signature(1, 1, "the query", optional=True, history=True, tags=("threshold",)),
    "DataFreshness": replace(_COLUMN, operand="duration", where=True),
    "DatasetMatch": Signature(2, 3, "the reference, its keys and, where names differ, the columns", history=True),
    "DetectAnomalies": Signature(1, None, "the metric and its columns", operand=""),
    "DistinctValuesCount": _STATISTIC,
    "Entropy": _STATISTIC,
    "FileFreshness": Signature(0, 1, "the path", operand="moment", tags=("threshold", "timeZone", *_FILES)),
    "FileMatch": Signature(
        0, 2, "the paths", operand="hash", optional=True, tags=("hashAlgorithm", "matchFileName", "dataFrame", *_FILES)
    ),
    "FileSize": Signature(0, 1, "the path", operand="size", tags=("threshold", *_FILES)),
    "FileUniqueness": Signature(0, 1, "the path", tags=("hashAlgorithm", "matchFileName", *_FILES)),
    "IsComplete": replace(_COLUMN, operand="", where=True),
    "IsPrimaryKey": replace(_COLUMNS, operand="", where=True),
    "IsUnique": replace(_COLUMNS, operand="", where=True),
    "Mean": _STATISTIC,
    "ReferentialIntegrity": Signature(2, 2, "the columns and those of the reference", history=True),
    "RowCount": Signature(0, 0, "", where=True, history=True),
    "RowCountMatch": Signature(1, 1, "the reference", history=True),
    "SchemaMatch": Signature(1, 1, "the reference", history=True),
    "StandardDeviation": _STATISTIC,
    "Sum": _STATISTIC,
    "Uniqueness": _KEY,
    "UniqueValueRatio": _STATISTIC,
    "Variance": _STATISTIC,
    # only in Deequ's own evaluator, not on AWS
    "Skewness": _STATISTIC,
    "Kurtosis": _STATISTIC,
    "Range": _STATISTIC,
    "InterquartileRange": _STATISTIC,
    "ZerosCount": _STATISTIC,
    "DuplicateRowCount": Signature(0, None, "the columns", where=True, history=True),
}

ANALYZERS: dict[str, Signature] = {
    "RowCount": Signature(0, 0, ""),
    "ColumnCount": Signature(0, 0, ""),
    "Completeness": _COLUMN,
    "Uniqueness": _COLUMNS,
    "Mean": _COLUMN,
    "Sum": _COLUMN,
    "StandardDeviation": _COLUMN,
    "Entropy": _COLUMN,
    "DistinctValuesCount": _COLUMN,
    "UniqueValueRatio": _COLUMN,
    "ColumnLength": _COLUMN,
    "ColumnValues": _COLUMN,
    "ColumnCorrelation": Signature(2, 2, "two columns"),
    "CustomSql": Signature(1, 1, "the query"),
    "AllStatistics": Signature(1, 1, "the column, or AllColumns"),
    "Distribution": Signature(1, 1, "the column, or AllColumns", tags=("bins", "rebin")),
}

#: What was seen in tests of AWS only, and asks nothing of the data.
JOBS = ("JobStatus", "JobDuration")

#: What DetectAnomalies can look at, with the columns each metric takes.
ANOMALY_METRICS: dict[str, tuple[int, int | None]] = {
    "RowCount": (0, 0), "Completeness": (1, 1), "Uniqueness": (1, None), "Mean": (1, 1), "Sum": (1, 1),
    "StandardDeviation": (1, 1), "Entropy": (1, 1), "DistinctValuesCount": (1, 1), "UniqueValueRatio": (1, 1),
    "ColumnLength": (1, 1), "ColumnValues": (1, 1), "ColumnCorrelation": (2, 2), "CustomSQL": (1, 1),
    "ColumnCount": (0, 0),
}  # fmt: skip

#: What a tag's value is.
TAGS = {
    "threshold": "ratio", "ignoreCase": "flag", "format": "text", "timeZone": "text", "recentFiles": "count",
    "matchFileName": "flag", "hashAlgorithm": "hash", "uriRegex": "text", "filterOrder": "order", "failFast": "flag",
    "dataFrame": "flag", "bins": "count", "rebin": "flag",
}  # fmt: skip
HASHES = ("MD5", "SHA-1", "SHA-256")
FILTERS = ("uriRegex", "recentFiles")

AGGREGATES = ("avg", "average", "median", "max", "min", "sum", "std", "percentile", "index")
FUNCTIONS = ("last", *AGGREGATES, "abs", "now")
DURATIONS = ("minute", "minutes", "hour", "hours", "day", "days")
SIZES = ("B", "KB", "MB", "GB", "TB")
DATA_TYPES = ("Boolean", "Date", "Timestamp", "Integer", "Double", "Float", "Long", "String", "DECIMAL(p,s)")

SECTIONS = ("Metadata", "DataSources", "DefaultLabels", "Rules", "Analyzers")
KEYWORDS = ("of", "and", "or", "not", "between", "in", "matches", "where", "with", "labels")

MAX_LABELS, MAX_LABEL_KEY, MAX_LABEL_VALUE = 10, 128, 256
