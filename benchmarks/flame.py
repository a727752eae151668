"""Draws where a workload spends its time: a flame graph of the threads that run Spark's tasks.

    python benchmarks/flame.py --rows 3000000 --workload quarantine -o docs/flame.svg

The workload runs once to warm up, and again under Java's Flight Recorder, which takes the stack of each running thread every ten
milliseconds. Width is the share of samples; what stands below a bar was called by it. Needs a JDK (`jcmd` and `jfr`).
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from engine import WORKLOADS, Bench

from quality.backends.session import session

TASKS = "Executor task launch"
WIDTH, ROW, LETTER = 1200, 16, 6.2
#: Narrower bars are left out.
LEAST = 0.004
#: Frames that only hand on.
PASSED_OVER = (
    "org.apache.spark.rdd.",
    "org.apache.spark.scheduler.",
    "org.apache.spark.TaskContext",
    "org.apache.spark.util.Utils$",
)
#: What a bar is about, by the first of these that its frame begins with.
COLOURS = {
    "org.apache.parquet": "#6f9fd8", "org.apache.spark.sql.execution.datasources.parquet": "#8fb4e0", "quality": "#e0793a",
    "org.apache.spark.sql.catalyst.expressions.GeneratedClass": "#e7b04c", "org.apache.hadoop": "#9cc08a", "java": "#b9b9b9",
}  # fmt: skip


@dataclass
class Node:
    """A frame, how many samples were taken in it or below, and the frames below."""

    samples: int = 0
    below: dict[str, Node] = field(default_factory=dict)


def main() -> None:
    """Measure and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--workload", choices=WORKLOADS, default="quarantine")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--memory", default="6g", help="of Spark")
    parser.add_argument("--directory", type=Path, help="where data is kept between calls; default: a temporary one")
    parser.add_argument("-o", "--output", type=Path, default=Path("flame.svg"))
    options = parser.parse_args()
    options.shuffled = False
    jcmd, jfr = tool("jcmd"), tool("jfr")
    with tempfile.TemporaryDirectory() as temporary:
        folder = (options.directory or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        with session(master=f"local[{options.cores}]", extra={"spark.driver.memory": options.memory}) as own:
            bench = Bench(own.spark, folder, options)
            action = bench.action(options.workload, bench.data(options.rows))
            jvm: Any = own.spark._jvm
            action()
            shutil.rmtree(folder / "written", ignore_errors=True)
            samples = recorded(str(jvm.java.lang.ProcessHandle.current().pid()), action, Path(temporary), jcmd, jfr)
    root = folded(samples)
    title = f"{options.workload}, {options.rows:,} rows: {root.samples:,} samples of threads that run tasks"
    options.output.write_text(drawn(root, title), encoding="utf-8")
    for share, name in leading(root):
        print(f"{share:6.1%}  {name}")


def tool(name: str) -> str:
    """Where a tool of the JDK is."""
    return shutil.which(name) or sys.exit(f"{name} is not on the PATH: it comes with a JDK")


def recorded(process: str, action: Any, folder: Path, jcmd: str, jfr: str) -> list[Mapping[str, Any]]:
    """The samples that were taken while the action ran."""
    file = folder / "recording.jfr"
    subprocess.run(
        [jcmd, process, "JFR.start", "name=flame", "settings=profile"], check=True, stdout=subprocess.DEVNULL
    )
    try:
        action()
    finally:
        subprocess.run(
            [jcmd, process, "JFR.stop", "name=flame", f"filename={file}"], check=True, stdout=subprocess.DEVNULL
        )
    said = subprocess.run(
        [jfr, "print", "--json", "--stack-depth", "128", "--events", "jdk.ExecutionSample,jdk.NativeMethodSample", str(file)],
        check=True, stdout=subprocess.PIPE,
    )  # fmt: skip
    found: list[Mapping[str, Any]] = json.loads(said.stdout)["recording"]["events"]
    return found


def folded(events: Iterable[Mapping[str, Any]]) -> Node:
    """The stacks of tasks as a tree, from where the task begins."""
    root = Node()
    for event in events:
        values = event["values"]
        thread, trace = values.get("sampledThread") or {}, values.get("stackTrace")
        if TASKS not in str(thread.get("javaName")) or not trace:
            continue
        frames = [frame_name(frame["method"]) for frame in reversed(trace["frames"])]
        begins = next((at for at, name in enumerate(frames) if name.endswith(("Task.runTask", "Task.run"))), 0)
        node = root
        node.samples += 1
        for name in (frame for frame in frames[begins:] if not frame.startswith(PASSED_OVER)):
            node = node.below.setdefault(name, Node())
            node.samples += 1
    return root


def frame_name(method: Mapping[str, Any]) -> str:
    """`org.apache.parquet.column.impl.ColumnWriterV1.write`."""
    kind = method["type"]["name"].replace("/", ".").partition("$$Lambda")[0]
    return f"{kind}.{method['name']}"


def short(name: str) -> str:
    """Class and method."""
    kind, _, method = name.rpartition(".")
    return f"{kind.rpartition('.')[2]}.{method}"


def drawn(root: Node, title: str) -> str:
    """The tree as SVG, the task on top. Frames that all samples share are left out."""
    while len(root.below) == 1 and next(iter(root.below.values())).samples > 0.999 * root.samples:
        root = next(iter(root.below.values()))
    bars: list[str] = []
    depth = _bars(root, root.samples, 0.0, 1, bars)
    height = (depth + 1) * ROW + 6
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="11">'
    text = f'<rect width="100%" height="100%" fill="white"/><text x="4" y="12">{escape(title)}</text>'
    return "\n".join([head, text, *bars, "</svg>", ""])


def _bars(node: Node, whole: int, left: float, row: int, bars: list[str]) -> int:
    """Add the bars below a node; the lowest row that was reached."""
    deepest = row
    for name, child in sorted(node.below.items(), key=lambda item: -item[1].samples):
        share = child.samples / whole
        if share < LEAST:
            continue
        x, width, y = left * WIDTH, share * WIDTH, row * ROW
        letters = int((width - 4) / LETTER)
        label = short(name)
        shown = label if len(label) <= letters else f"{label[: letters - 1]}…" if letters > 3 else ""
        colour = next((colour for start, colour in COLOURS.items() if name.startswith(start)), "#d9cba3")
        text = f'<text x="{x + 2:.1f}" y="{y + 12}">{escape(shown)}</text>' if shown else ""
        bars.append(
            f'<g><title>{escape(name)} {share:.1%}</title><rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{ROW - 1}" '
            f'fill="{colour}" stroke="white" stroke-width=".4"/>{text}</g>'
        )
        deepest = max(deepest, _bars(child, whole, left, row + 1, bars))
        left += share
    return deepest


def leading(root: Node) -> list[tuple[float, str]]:
    """The frames in which, and below which, most samples were taken; each counted once for a stack."""
    inside: Counter[str] = Counter()

    def walk(node: Node, above: frozenset[str]) -> None:
        for name, child in node.below.items():
            if name not in above:
                inside[name] += child.samples
            walk(child, above | {name})

    walk(root, frozenset())
    return [(count / root.samples, name) for name, count in inside.most_common(40)]


if __name__ == "__main__":
    main()
