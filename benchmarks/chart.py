"""Draws what the benchmarks measured: a bar for each engine and workload, as a multiple of the copy of the same rows.

    python benchmarks/chart.py peers.json -o docs/benchmark.svg

Takes what `peers.py --json` or `engine.py --json` kept; medians of the rounds that count. Plain SVG, no library.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

_LEFT, _WIDTH, _BAR, _GAP, _HEAD = 230, 420, 16, 6, 34
_OURS, _FLOOR, _OTHERS = "#0b6e4f", "#8a8a8a", "#c9ccd1"
#: A bar longer than so many copies is cut, and says its number.
_LONGEST = 12.0


def main() -> None:
    """Draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("measured", type=Path, help="what a benchmark kept with --json")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE")
    options = parser.parse_args()
    content = json.loads(options.measured.read_text(encoding="utf-8"))
    options.output.write_text(svg(groups(content)), encoding="utf-8")


def groups(content: Any) -> dict[str, list[tuple[str, float]]]:
    """By workload, engines and their CPU seconds over those of the copy."""
    rows = content["measured"] if isinstance(content, dict) else content
    titles = {name: kind["title"] for name, kind in content["contenders"].items()} if isinstance(content, dict) else {}
    for row in rows:
        row.setdefault("contender", "floor" if row["workload"] in ("read", "copy") else "ours")
    copy = _median(row for row in rows if row["workload"] == "copy")
    found: dict[str, list[tuple[str, float]]] = {}
    for name, workload in dict.fromkeys((row["contender"], row["workload"]) for row in rows):
        cpu = _median(r for r in rows if (r["contender"], r["workload"]) == (name, workload))
        title = titles.get(name, {"floor": "plain Spark", "ours": "quality"}.get(name, name))
        found.setdefault(workload, []).append((title, cpu / copy))
    return found


def _median(rows: Iterable[Any]) -> float:
    return statistics.median(float(row["cpu"]) for row in rows if row["round"] > 0)


def svg(found: dict[str, list[tuple[str, float]]]) -> str:
    """The picture."""
    lines, y = [], 10
    scale = _WIDTH / min(_LONGEST, max(value for bars in found.values() for _, value in bars))
    for workload, bars in found.items():
        lines.append(f'<text x="10" y="{y + 16}" font-weight="bold">{escape(workload)}</text>')
        y += _HEAD - 10
        for title, value in bars:
            lines += _bar(title, value, y, scale)
            y += _BAR + _GAP
        y += 12
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_LEFT + _WIDTH + 70} {y + 24}" '
        f'font-family="sans-serif" font-size="12">\n<rect width="100%" height="100%" fill="white"/>'
    )
    foot = f'<text x="10" y="{y + 14}" fill="#555">CPU seconds as multiples of a plain copy of the same rows; less is better</text>'
    return "\n".join([head, *lines, foot, "</svg>", ""])


def _bar(title: str, value: float, y: int, scale: float) -> list[str]:
    colour = _OURS if title == "quality" else _FLOOR if title == "plain Spark" else _OTHERS
    width = max(1.0, min(value, _LONGEST) * scale)
    return [
        f'<text x="{_LEFT - 8}" y="{y + 12}" text-anchor="end">{escape(title)}</text>',
        f'<rect x="{_LEFT}" y="{y}" width="{width:.1f}" height="{_BAR}" fill="{colour}"/>',
        f'<text x="{_LEFT + width + 5:.1f}" y="{y + 12}">{value:.2f}</text>',
    ]


if __name__ == "__main__":
    main()
