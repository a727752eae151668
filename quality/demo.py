"""The main job on real data, before your eyes: consecutive days of flights, then a day that is poisoned."""

from __future__ import annotations

from datetime import date
from importlib.resources import files
from pathlib import Path

from quality.backends.session import session
from quality.demo_data import poison, write_batches
from quality.errors import UsageError
from quality.report import terminal
from quality.results import RunResult
from quality.runs import run

FIRST_DAY = date(2013, 1, 1)


def rule_file() -> Path:
    """The demo's rules: of the checkout, else those that came with the package."""
    beside = Path(__file__).resolve().parent.parent / "rules" / "flights.yml"
    return beside if beside.is_file() else Path(str(files("quality"))) / "rules" / "flights.yml"


def demo(directory: Path, days: int) -> int:
    """Run `days` days and one poisoned day, then the last again. 0 when everything came out as it must."""
    if not 1 <= days <= 60:
        raise UsageError(f"--days must be from 1 to 60, got {days}")
    incoming, root = directory / "incoming", directory / "quality-data"
    paths = write_batches(incoming, FIRST_DAY, days + 1)
    batches = [path.stem for path in paths]
    clean = paths[-1].with_suffix(".clean")
    paths[-1].replace(clean)
    planted = poison(clean, paths[-1])
    print(f"{days} days of real flights from New York, and {batches[-1]}, poisoned:")
    print("  " + ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in planted.items()) + "\n")
    with session() as own:

        def run_day(batch: str) -> RunResult:
            return run(rule_file(), batch, variables={"incoming": str(incoming)}, root=str(root), spark=own.spark)

        results = [run_day(batch) for batch in batches]
        print(terminal.render_many([dict(result.data) for result in results[:-1]]))
        command = f"quality run {rule_file()} --batch {batches[-1]} --var incoming={incoming} --root {root}"
        terminal.show({**results[-1].data, "command": command})
        again = run_day(batches[-1])
        print(f"\nrun again: {terminal.summary_line(dict(again.data))}")
    good = all(result.exit_code == 0 for result in results[:-1])
    return 0 if good and results[-1].data["rows"]["quarantined"] and again.unchanged else 3
