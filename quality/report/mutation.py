"""Which faults no rule catches, for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from quality.report import clean


def render(found: Mapping[str, Any], *, verbose: bool = False) -> str:
    """A line for each column with the faults that are not caught, the whole, and the rules that could not be judged."""
    unsure = {(told["column"], told["fault"]) for told in found["results"] if told["could_not_tell"]}
    table = [("column", "caught", "not caught")]
    for of in found["columns"]:
        named = [
            f"{fault} (could not tell)" if (of["column"], fault) in unsure else fault for fault in of["not_caught"]
        ]
        table.append((clean(of["column"]), f"{of['caught']} of {of['faults']}", ", ".join(named) or "-"))
    widths = [max(len(row[place]) for row in table) for place in range(2)]
    lines = [f"{a:<{widths[0]}}  {b:>{widths[1]}}  {clean(c)}".rstrip() for a, b, c in table]
    if verbose:
        lines += ["", *(_one(result) for result in found["results"])]
    lines += [f"not judged: {clean(one['rule'])}: {clean(one['why'])}" for one in found["rules_not_judged"]]
    if found["rules_that_caught_nothing"]:
        lines.append(f"caught nothing: {', '.join(map(clean, found['rules_that_caught_nothing']))}")
    if verbose and found["faults_without_effect"]:
        idle = ", ".join(f"{clean(one['column'])}: {one['fault']}" for one in found["faults_without_effect"])
        lines.append(f"faults that change nothing here: {idle}")
    sign = "✓" if found["caught"] == found["faults"] else "✗"
    rows = f"{found['rows']:,} rows{' drawn from it' if found['sample'] else ''}"
    share = f" ({found['rate']:.0%})" if found["rate"] is not None else ""
    whole = f"{sign} {found['rule_file']}: {found['caught']} of {found['faults']} faults are caught{share}"
    return "\n".join([*lines, f"{whole}; batch {found['batch']}, {rows}, {found['share']:.0%} of them with a fault"])


def _one(result: Mapping[str, Any]) -> str:
    rules = ", ".join(map(clean, result["caught_by"])) or "no rule"
    unsure = f"; could not tell: {', '.join(map(clean, result['could_not_tell']))}" if result["could_not_tell"] else ""
    return f"{clean(result['column'])}, {result['fault']} ({result['rows']:,} rows): {rules}{unsure}"
