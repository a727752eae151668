"""What a run costs beside the floor: plain Spark that reads the same files, and one that copies them.

    python benchmarks/engine.py --rows 1000000 --repeat 5
    python benchmarks/engine.py --flights --repeat 3
    python benchmarks/engine.py --growth rules --repeat 3
    python benchmarks/engine.py --rows 100000000 --warm-up 10000000 --repeat 1 --workload copy --workload quarantine

All workloads run in one session, interleaved, on orders with planted faults (`orders.py`); the first round warms up and does
not count. Prints medians, and each as a ratio to the copy; `--json FILE` keeps every measurement, of which `chart.py` draws.

    read        every column of every row, and nothing done with it
    copy        every row into Parquet files: nobody who splits rows can do with less
    checks      27 rules judged, Deequ's checks among them; nothing is written
    quarantine  a whole run: judge, split, write both sides with reasons, commit, history, report
    profile     every column profiled, nothing else
    all         a run that profiles as well

`--flights` takes a year of real flights (336,776 rows of CSV in 365 files) and the demo's 44 rules instead; its copy reads the text
and writes Parquet. `--growth rules` measures 10, 50, 200 and 1,000 rules, `--growth columns` 20, 200 and 1,000 columns, `--growth rows` a tenth, a
half and all of --rows.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import meter
import orders
from contenders import ours

import quality
from quality import demo_data
from quality.backends.session import session

RULE_FILE = Path(__file__).parents[1] / "rules" / "flights.yml"
WORKLOADS = ("read", "copy", "checks", "quarantine", "profile", "all")
RULES = (10, 50, 200, 1000)
COLUMNS = (20, 200, 1000)

Cases = dict[tuple[str, str], Callable[[], Any]]


def main() -> None:
    """Measure and print."""
    options = arguments()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (options.directory or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        with session(master=f"local[{options.cores}]", extra={"spark.driver.memory": options.memory}) as own:
            found = measure(Bench(own.spark, folder, options))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(table(found))


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--warm-up", type=int, metavar="ROWS", help="of the round that does not count; default: all")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--memory", default="6g", help="of Spark")
    parser.add_argument("--shuffled", action="store_true", help="orders in no order: their ids do not come sorted")
    parser.add_argument("--workload", dest="workloads", action="append", choices=WORKLOADS, metavar="NAME",
                        help=f"several by repeating: {', '.join(WORKLOADS)}")  # fmt: skip
    parser.add_argument("--flights", action="store_true", help="real flights instead of orders")
    parser.add_argument("--growth", choices=("rules", "columns", "rows"), help="measure how cost grows instead")
    parser.add_argument("--directory", type=Path, help="where data is kept between calls; default: a temporary one")
    parser.add_argument("--json", type=Path, metavar="FILE")
    return parser.parse_args()


class Bench:
    """What is measured, on one Spark."""

    def __init__(self, spark: Any, folder: Path, options: argparse.Namespace) -> None:
        self.spark, self.folder, self.options = spark, folder, options
        self.ours = ours.Engine(spark)

    def data(self, rows: int, columns: int = 0) -> Path:
        """Orders, made once."""
        shuffled = self.options.shuffled
        path = self.folder / f"orders-{rows}{f'-{columns}' if columns else ''}{'-shuffled' if shuffled else ''}.parquet"
        if not path.exists():
            orders.write(self.spark, path, rows, columns, shuffled=shuffled)
        return path

    def action(self, workload: str, data: Path) -> Callable[[], Any]:
        """A workload of the table above."""
        written = self.folder / "written"
        if workload == "read":
            return lambda: self.spark.read.parquet(str(data)).write.format("noop").mode("overwrite").save()
        if workload == "copy":
            return lambda: self.spark.read.parquet(str(data)).write.mode("overwrite").parquet(str(written))
        method = getattr(self.ours, workload)
        return (lambda: method(str(data), written)) if workload in ("quarantine", "all") else lambda: method(str(data))

    def flights(self) -> dict[tuple[str, str], Callable[[], Any]]:
        """A year of flights as one batch of CSV."""
        demo_data.write_batches(self.folder / "flights" / "incoming", demo_data.FIRST_DAY, 365)
        days, written = str(self.folder / "flights" / "incoming" / "flights" / "*.csv"), self.folder / "written"
        plain = RULE_FILE.read_text(encoding="utf-8")
        rules = {"quarantine": self.folder / "flights.yml", "all": self.folder / "flights-profile.yml"}
        rules["quarantine"].write_text(plain.replace("profile: true", "profile: false"), encoding="utf-8")
        rules["all"].write_text(plain, encoding="utf-8")

        def run(path: Path) -> None:
            result = quality.run(path, "2013-12-31", input=days, root=str(written), spark=self.spark)
            assert result.data["rows"]["input"] == 336_776, result.data["message"]

        def lines() -> Any:
            return self.spark.read.csv(days, header=True)

        case = "flights"
        return {
            ("read", case): lambda: lines().write.format("noop").mode("overwrite").save(),
            ("copy", case): lambda: lines().write.mode("overwrite").parquet(str(written)),
            **{(name, case): partial(run, path) for name, path in rules.items()},
            ("profile", case): lambda: quality.profile(days, format="csv", spark=self.spark),
        }

    def run(self, rules: str, data: Path) -> Callable[[], Any]:
        """A run of a rule file."""
        path, root = self.folder / "rules.yml", self.folder / "written"

        def action() -> None:
            path.write_text(rules, encoding="utf-8")
            result = quality.run(path, "b", variables={"incoming": str(data)}, root=str(root), spark=self.spark)
            assert result.exit_code < 2, result.data["message"]

        return action


def measure(bench: Bench) -> list[dict[str, Any]]:
    """One row for each workload and round; round 0 is the warm-up."""
    rows, growth = bench.options.rows, bench.options.growth
    if bench.options.flights:
        return rounds(bench, bench.flights())
    if growth == "rules":
        data = bench.data(rows)
        cases = {("run", f"{n} rules"): bench.run(many_rules(n), data) for n in RULES}
        return rounds(bench, {("copy", ""): bench.action("copy", data), **cases})
    if growth == "columns":
        cases = {}
        for n in COLUMNS:
            data = bench.data(rows, n - len(orders.COLUMNS))
            cases |= {(work, f"{n} columns"): bench.action(work, data) for work in ("copy", "profile", "all")}
        return rounds(bench, cases)
    sizes = [rows // 10, rows // 2, rows] if growth == "rows" else [rows]
    wanted = bench.options.workloads or WORKLOADS

    def of(sizes: Sequence[int]) -> Cases:
        return {(w, f"{size:,} rows"): bench.action(w, bench.data(size)) for size in sizes for w in wanted}

    return rounds(bench, of(sizes), of([bench.options.warm_up]) if bench.options.warm_up else None)


def rounds(bench: Bench, cases: Cases, warm_up: Cases | None = None) -> list[dict[str, Any]]:
    """Interleaved: what else the machine does falls on all alike."""
    found = []
    for number in range(bench.options.repeat + 1):
        warming = number == 0 and warm_up is not None
        rows = bench.options.warm_up if warming else bench.options.rows
        for (name, case), action in (warm_up if warming and warm_up else cases).items():
            shutil.rmtree(bench.folder / "written", ignore_errors=True)
            bench.spark._jvm.System.gc()
            spent, _ = meter.spent(action)
            found.append({"workload": name, "case": case, "rows": rows, "round": number, **vars(spent)})
    return found


def many_rules(count: int) -> str:
    """A rule file of so many rules about rows: bounds, sets and comparisons in turn."""
    numbers, texts = (
        ("customer_id", "quantity", "unit_price", "discount", "rating"),
        ("country", "status", "coupon", "sku"),
    )
    lines = []
    for n in range(count):
        if n % 4 == 3:
            lines.append(f"  - {{name: r{n}, that: \"{texts[n // 4 % 4]} <> 'x{n}'\"}}")
        else:
            lines.append(f"  - {{name: r{n}, above: {{column: {numbers[n % 5]}, value: {-10 - n}}}}}")
    head = orders.RULES.partition("columns:")[0]
    return f"{head}rules:\n" + "\n".join(lines) + "\n"


def table(found: Sequence[dict[str, Any]]) -> str:
    """Medians of the rounds that count, as ratios to the copy of the same case."""
    lines = ["| workload | case | wall s | CPU s | wall / copy | CPU / copy |", "|---|---|---|---|---|---|"]
    counted = [row for row in found if row["round"] > 0]

    def median(name: str, case: str, what: str) -> float | None:
        values = [row[what] for row in counted if (row["workload"], row["case"]) in ((name, case), (name, ""))]
        return statistics.median(values) if values else None

    for name, case in dict.fromkeys((row["workload"], row["case"]) for row in counted):
        cells = [name, case]
        wall, cpu = median(name, case, "wall"), median(name, case, "cpu")
        bases = median("copy", case, "wall"), median("copy", case, "cpu")
        cells += [f"{value:.2f}" if value is not None else "" for value in (wall, cpu)]
        cells += [
            f"{v / base:.2f}" if base and v is not None else "" for v, base in zip((wall, cpu), bases, strict=True)
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
