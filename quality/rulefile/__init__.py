"""From the text of a rule file to a RuleSet, all mistakes at once."""

from quality.rulefile.loader import load, parsed

__all__ = ["load", "parsed"]
