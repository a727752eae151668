"""Which data set of a file about several becomes the rule file."""

from __future__ import annotations

from collections.abc import Mapping

from quality.errors import Problem, RuleFileError, did_you_mean
from quality.rulefile.dqdl.rules_of_ours import slug


def chosen(file: str, named: Mapping[str, int], asked: str, what: str) -> str:
    """The name that is asked for, as it stands there or as an id; the only one when none is. `named` says in which line
    each stands, `what` what they are. Raises RuleFileError."""
    if not named:
        raise RuleFileError([Problem(file, 1, f"it has no {what}")])
    if not asked:
        if len(named) == 1:
            return next(iter(named))
        line = list(named.values())[1]
        listed = ", ".join(named)
        raise RuleFileError(
            [Problem(file, line, f"a rule file is about one data set, and here are {listed}; choose by --dataset")]
        )
    for name in named:
        if asked in (name, slug(name)):
            return name
    raise RuleFileError([Problem(file, 1, f"it has no {what} for '{asked}'; {did_you_mean(asked, list(named), what)}")])
