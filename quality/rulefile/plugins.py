"""Rule types of other packages, found by the entry point `quality.rule_types`.

An entry point names a module, or a class in it; whatever rule types importing it defines are known from then on, in rule
files, `quality rules`, the JSON Schema and runs. They are loaded once a process, before the first rule file is read: a
plug-in that is broken must not change what a file means, so it ends the command, with its name.
"""

from __future__ import annotations

import re
from importlib.metadata import EntryPoint, entry_points

from quality.errors import UsageError
from quality.rule_types import REGISTRY
from quality.rule_types.base import MetricRule, RowRule, RuleType, SchemaRule

GROUP = "quality.rule_types"
_WORD = re.compile(r"[a-z][a-z0-9_]*")
_loaded: set[tuple[str, str]] = set()


def load_plugins(reserved: tuple[str, ...] = ()) -> None:
    """Load every plug-in that is not loaded yet. `reserved` are words that a type cannot have. Raises UsageError that
    names the plug-in and what is wrong with it; then none of its types is known."""
    for point in sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value)):
        if (point.name, point.value) not in _loaded:
            _load(point, reserved)
            _loaded.add((point.name, point.value))


def _load(point: EntryPoint, reserved: tuple[str, ...]) -> None:
    before = dict(REGISTRY)
    try:
        point.load()
        wrong = _wrong(before, reserved)
    # whatever a package of others does when it is imported, it is the plug-in that has to be named
    except Exception as error:
        wrong = f"{type(error).__name__}: {' '.join(str(error).split())}"
    if wrong:
        REGISTRY.clear()
        REGISTRY.update(before)
        package = f" of {point.dist.name} {point.dist.version}" if point.dist else ""
        raise UsageError(f"the plug-in '{point.name}'{package} ({point.value}) cannot be used: {wrong}")


def _wrong(before: dict[str, type[RuleType]], reserved: tuple[str, ...]) -> str:
    """What is wrong with the types that came, empty when nothing is."""
    for word, kind in REGISTRY.items():
        if before.get(word) is kind:
            continue
        if word in before:
            return f"there is a rule type '{word}' already, in {before[word].__module__}; name it otherwise"
        if not _WORD.fullmatch(word) or word in reserved:
            return f"'{word}' cannot be the name of a rule type: {_why(word, reserved)}"
        if not issubclass(kind, (RowRule, MetricRule, SchemaRule)):
            return f"{kind.__name__} must be a RowRule, a MetricRule or a SchemaRule"
        documentation = str(vars(kind).get("__doc__") or "")
        if not hasattr(kind, "__dataclass_fields__"):
            return f"{kind.__name__} must be a frozen dataclass, whose fields are its arguments"
        # a dataclass without a docstring is given its signature for one
        if not documentation or documentation.startswith(f"{kind.__name__}("):
            return f"{kind.__name__} has no docstring, which is its documentation"
        if not kind.example.startswith(f"{word}:"):
            return f"{kind.__name__} needs an 'example' that begins with '{word}:'"
    return ""


def _why(word: str, reserved: tuple[str, ...]) -> str:
    return "it is a modifier" if word in reserved else "write lower-case letters, digits and '_'"
