"""Limits of the rule type `drift`, from how far batches were from those before them.

What it finds, and no mean does: one value that takes the place of others (a default, a stuck sensor, a source that stopped).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from quality.suggesting.chances import beyond
from quality.suggesting.distances import measure_of
from quality.suggesting.facts import Batch
from quality.suggesting.judging import Suggestion

#: A limit below the first would flag what is immaterial; one above the second finds nothing.
_SLIGHT, _WIDEST = 0.04, 0.35


def suggest_drift(
    seen: Mapping[str, Sequence[float]], last: Batch, window: int, least: int, slack: float
) -> Iterator[Suggestion]:
    """A limit for each column whose distances tell one, on the arcsine scale. `seen`: distances so far."""
    for name, values in seen.items():
        known = [value for value in values if math.isfinite(value)]
        if len(known) < least:
            continue
        top = beyond([math.asin(math.sqrt(min(max(value, 0.0), 1.0))) for value in known], slack)[1]
        limit = max(_SLIGHT, math.sin(min(top, math.pi / 2)) ** 2)
        if limit > _WIDEST:
            continue
        bound = math.ceil(round(limit * 100, 6)) / 100
        measure = measure_of(last.columns[name])
        if not any(known):
            # a constant is for a rule about its value; what never was frequent may not become so
            if measure == "ks":
                continue
            why = f"the same as the last {window} together, in {len(known)} batches; values below 1 % count as one"
        else:
            why = f"at most {max(known):.2g} from the last {window} together, in {len(known)} batches"
        asked = {"method": measure, "against": f"last {window}", "at_most": bound}
        given = {"low": -math.inf, "high": bound, "key": "rolling", "window": window}
        yield Suggestion("drift", (name,), asked, "drift", why, given, strong=False)
