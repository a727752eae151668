"""What a run costs beside the floor: plain Spark that reads the same files, and one that copies them.

    python benchmarks/engine.py --rows 1000000 --repeat 5

All workloads run in one session, interleaved, on orders with planted faults (`orders.py`); the first round warms up and does
not count. Prints medians, and each as a ratio to the copy; `--json FILE` keeps every measurement.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import meter
import orders

import quality
from quality.backends.session import session


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--directory", type=Path, help="where data is kept between calls; default: a temporary one")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        found = measure(options.directory or Path(temporary), options.rows, options.repeat, options.cores)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(table(found))


def measure(folder: Path, rows: int, repeat: int, cores: int) -> list[dict[str, Any]]:
    """One row for each workload and round; round 0 is the warm-up."""
    data, rules, root = folder / f"orders-{rows}.parquet", folder / "orders.yml", folder / "root"
    folder.mkdir(parents=True, exist_ok=True)
    rules.write_text(orders.RULES, encoding="utf-8")
    found = []
    with session(master=f"local[{cores}]", extra={"spark.driver.memory": "6g"}) as own:
        spark = own.spark
        if not data.exists():
            orders.write(spark, data, rows)

        def read() -> None:
            spark.read.parquet(str(data)).write.format("noop").mode("overwrite").save()

        def copy() -> None:
            spark.read.parquet(str(data)).write.mode("overwrite").parquet(str(folder / "copy"))

        def run() -> None:
            shutil.rmtree(root, ignore_errors=True)
            result = quality.run(rules, "b", variables={"incoming": str(data)}, root=str(root), spark=spark)
            assert result.data["rows"]["input"] == rows, result.data["message"]

        workloads: dict[str, Callable[[], None]] = {"read": read, "copy": copy, "run": run}
        for number in range(repeat + 1):
            for name, action in workloads.items():
                spent, _ = meter.spent(action)
                found.append({"workload": name, "rows": rows, "round": number, "wall": spent.wall, "cpu": spent.cpu})
    return found


def table(found: list[dict[str, Any]]) -> str:
    """Medians of the rounds that count."""
    lines = ["| workload | wall s | CPU s | wall / copy | CPU / copy |", "|---|---|---|---|---|"]
    counted = [row for row in found if row["round"] > 0]

    def median(name: str, what: str) -> float:
        return statistics.median(row[what] for row in counted if row["workload"] == name)

    for name in dict.fromkeys(row["workload"] for row in found):
        wall, cpu = median(name, "wall"), median(name, "cpu")
        ratios = f"{wall / median('copy', 'wall'):.2f} | {cpu / median('copy', 'cpu'):.2f}"
        lines.append(f"| {name} | {wall:.2f} | {cpu:.2f} | {ratios} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
