"""What AWS Glue calls the metrics that are measured here, so that dashboards carry over."""

from __future__ import annotations

from quality.model import MetricKey

#: By our name: AWS's, with the columns in place of `{}`; a metric that stands here is the same number.
AWS_NAMES = {
    "Size": "Dataset.*.RowCount",
    "ColumnCount": "Dataset.*.ColumnCount",
    "Completeness": "Column.{}.Completeness",
    "Uniqueness": "Column.{}.Uniqueness",
    "UniqueValueRatio": "Column.{}.UniqueValueRatio",
    "CountDistinct": "Column.{}.DistinctValuesCount",
    "Mean": "Column.{}.Mean",
    "Sum": "Column.{}.Sum",
    "StandardDeviation": "Column.{}.StandardDeviation",
    "Entropy": "Column.{}.Entropy",
    "Minimum": "Column.{}.Minimum",
    "Maximum": "Column.{}.Maximum",
    "MinLength": "Column.{}.MinimumLength",
    "MaxLength": "Column.{}.MaximumLength",
    "Correlation": "Multicolumn.{}.ColumnCorrelation",
    "FileFreshness": "Dataset.*.FileFreshness.Compliance",
    "FileSize": "Dataset.*.FileSize.Compliance",
    "FileUniqueness": "Dataset.*.FileUniquenessRatio",
    "FileCount": "Dataset.*.FileCount",
    "CustomSQL": "Dataset.*.CustomSQL",
    "RowCountMatch": "Dataset.{}.RowCountMatch",
    "DatasetMatch": "Dataset.{}.DatasetMatch",
}
#: The share of rows that comply with a rule, by the type of the rule.
AWS_COMPLIANCE = {
    "length": "Column.{}.LengthCompliance",
    "type": "Column.{}.ColumnDataType.Compliance",
    "date_format": "Column.{}.ColumnDataType.Compliance",
    "sql_rows": "Dataset.*.CustomSQL.Compliance",
    **dict.fromkeys(
        (
            "values",
            "between",
            "above",
            "at_least",
            "below",
            "at_most",
            "equals",
            "not_equals",
            "in",
            "not_in",
            "matches",
        ),
        "Column.{}.ColumnValues.Compliance",
    ),
}


def aws_name(key: MetricKey, rule_type: str = "", column: str = "") -> str:
    """AWS's name of a metric; for the share of rows that comply the type of the rule and its column decide. Empty where AWS
    has none."""
    if key.name == "Compliance":
        return AWS_COMPLIANCE.get(rule_type, "").format(column)
    if dict(key.parameters).get("of") == "either":
        # a share of what either side has, where AWS takes the rows of the batch
        return ""
    name = AWS_NAMES.get(key.name, "").format(key.instance)
    return (
        name.replace("Column.", "Multicolumn.", 1)
        if key.entity == "Multicolumn" and name.startswith("Column.")
        else name
    )
