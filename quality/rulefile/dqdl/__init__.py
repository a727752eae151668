"""DQDL, the rule language of AWS Glue Data Quality: read, printed, and converted to rule files and back."""

from quality.rulefile.dqdl import printer
from quality.rulefile.dqdl.parser import parse, parse_all

format = printer.format

__all__ = ["format", "parse", "parse_all"]
