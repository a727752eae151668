"""The rule types, listed for people: terminal, Markdown, JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from quality.rule_types import REGISTRY
from quality.rulefile.schema import reference


def render(types: Sequence[str], format: str = "text") -> str:
    """The named rule types."""
    entries = [reference(REGISTRY[word]) for word in types]
    if format == "json":
        return json.dumps(entries, indent=1)
    return "\n\n".join(map(_markdown if format == "markdown" else _text, entries))


def _text(entry: dict[str, Any]) -> str:
    lines = [
        f"{entry['type']}  (about {entry['about']})",
        *(f"  {line}" for line in entry["documentation"].splitlines()),
    ]
    lines += [f"    {_argument(argument)}" for argument in entry["arguments"]]
    return "\n".join([*lines, f"  example: - {entry['example']}"])


def _argument(argument: dict[str, Any]) -> str:
    name = (
        "at_least, above, at_most, below, between, equals, not_equals, within"
        if argument["name"] == "bounds"
        else argument["name"]
    )
    return f"{name}: {argument['documentation']}" + ("" if argument["required"] else " (optional)")


def _markdown(entry: dict[str, Any]) -> str:
    lines = [f"### `{entry['type']}`", "", entry["documentation"], "", f"About {entry['about']}.", ""]
    lines += [f"- {_argument(argument)}" for argument in entry["arguments"]]
    return "\n".join([*lines, "", "```yaml", f"- {entry['example']}", "```"])
