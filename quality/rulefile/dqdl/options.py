"""Options of AWS's runs, which stand under `Metadata` here, as a document has no other place for what its job is told."""

from __future__ import annotations

from dataclasses import dataclass

from quality.rulefile.dqdl.tree import Entry


@dataclass(frozen=True)
class Option:
    """What becomes of an option. `why` tells what of it has no place; `wrong`: its value means nothing; `observed`: anomalies
    of all metrics are looked for, and fail nothing."""

    why: str = ""
    wrong: bool = False
    observed: bool = False


#: The options by name, with the values each takes; those without any take what they like.
_VALUES = {
    "rowlevelconfiguration.filteredrowlabel": ("PASSED", "SKIPPED"),
    "rowlevelconfiguration.rulewithlabels": ("ENABLED", "DISABLED"),
    "observations.scope": ("ALL", "NONE"),
    "performancetuning.caching": ("CACHE_NOTHING", "CACHE_INPUT"),
    "stopjobonfailureoptions.stopjobonfailuretiming": (),
}
_PLACES = {
    "rowlevelconfiguration.rulewithlabels": "the labels of a rule stand in the result, beside the id that a quarantined row tells",
    "performancetuning.caching": "the plan decides what is read how often, and 'quality plan' says it",
    "stopjobonfailureoptions.stopjobonfailuretiming": "a batch is held when an error rule fails, and --on-fail says how the job ends",
}


def option(entry: Entry) -> Option | None:
    """What becomes of an entry of `Metadata`; None when it is no option."""
    name = entry.key.lower()
    if name not in _VALUES:
        return None
    allowed, value = _VALUES[name], str(entry.value).upper()
    if allowed and value not in allowed:
        return Option(f"must be {' or '.join(allowed)}, got '{entry.value}'", wrong=True)
    return Option(_PLACES.get(name, ""), observed=name == "observations.scope" and value == "ALL")
