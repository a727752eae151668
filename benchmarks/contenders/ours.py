"""This project's engine. A split is a whole run: rows, reasons, commit, result, history and report."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orders

from contenders import TYPES, Contender, Found, Sides

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def _for_csv() -> str:
    types = dict(column.split(" ") for column in TYPES.split(", "))
    rules = re.sub(
        r"^  (\w+): \{",
        lambda found: f'  {found[1]}: {{type: "{types.pop(found[1])}", ',
        orders.RULES,
        flags=re.MULTILINE,
    )
    others = "".join(f"  {name}: {{type: {kind}}}\n" for name, kind in types.items())
    source = 'path: "{{ incoming }}/{{ batch }}.csv", format: csv, options: {header: true}'
    rules = rules.replace('path: "{{ incoming }}", format: parquet', source)
    return rules.replace("\nrules:\n", f"\n{others}rules:\n")


#: The rules of `orders.py` for a file of text, whose types have to be said: a file for each batch, in one directory.
RULES_FOR_CSV = _for_csv()


class Engine(Contender):
    """The rule file of `orders.py` as it stands."""

    title = "quality"
    deequ = True
    reasons = "rule, column, message and value of every rule"

    def __init__(self, spark: SparkSession) -> None:
        super().__init__(spark)
        import quality.runs  # noqa: F401 - as the others import what they are before the clock runs

        self.scratch = Path(tempfile.mkdtemp(prefix="contender-"))
        profiling = f"{orders.RULES}profile: true\n"
        for name, text in {".parquet": orders.RULES, ".csv": RULES_FOR_CSV, "-profile.parquet": profiling}.items():
            (self.scratch / f"orders{name}.yml").write_text(text, encoding="utf-8")

    def close(self) -> None:
        """Remove the rule files."""
        shutil.rmtree(self.scratch, ignore_errors=True)

    def _arguments(self, data: str) -> dict[str, Any]:
        path = Path(data)
        incoming, batch = (path.parent, path.stem) if path.suffix == ".csv" else (path, "b")
        return {"batch": batch, "variables": {"incoming": str(incoming)}}

    def _rules(self, data: str) -> Path:
        return self.scratch / f"orders{Path(data).suffix}.yml"

    def checks(self, data: str) -> Found:
        """What a run does up to the verdicts, Deequ's own check results among them. No command stops there."""
        from quality import planner, verification
        from quality.backends.reading import Reader
        from quality.backends.session import session
        from quality.backends.sizing import sized
        from quality.engine import Engine as Passes
        from quality.rulefile import load

        rule_set = load(self._rules(data), **self._arguments(data))
        with session(self.spark) as own:
            engine = Passes(own.spark)
            reader = Reader(own.spark, rule_set.input, rule_set.declared_types)
            with sized(own.spark, reader.read(reader.pin())) as batch:
                plan = planner.plan(rule_set, batch.row, batch.text)
                plan = engine.analyse(batch.frame, replace(plan, tally=engine.tallies(plan, small=batch.small)))
                findings = engine.measure(batch, plan)
                verdicts = verification.judge(findings.plan, findings.measured, batch.columns)
                engine.checks(findings, rule_set.dataset)
                engine.release()
        return found(verdict.to_dict() for verdict in verdicts)

    def profile(self, data: str) -> dict[str, float | None]:
        """Every column of the batch, nothing else; the completeness of each is told."""
        import quality

        found = quality.profile(data, spark=self.spark)
        return {column.name: column.completeness for column in found.columns}

    def all(self, data: str, folder: Path) -> Sides:
        """A run that profiles the batch as well."""
        return self._run(self.scratch / "orders-profile.parquet.yml", data, folder)

    def quarantine(self, data: str, folder: Path) -> Sides:
        """A run, and the files that it published."""
        return self._run(self._rules(data), data, folder)

    def _run(self, rules: Path, data: str, folder: Path) -> Sides:
        import quality

        root = str(folder / "root")
        arguments = self._arguments(data)
        result = quality.run(rules, **arguments, root=root, spark=self.spark)
        if result.exit_code > 1:
            raise RuntimeError(result.data["message"])
        good, bad = (
            quality.paths(root, "orders", batch=arguments["batch"], side=side) for side in ("passed", "quarantine")
        )
        return Sides(good, bad, found(result.data["rules"]))


def found(rules: Iterable[Mapping[str, Any]]) -> Found:
    """Failing rows of the rules that count rows, verdicts of the others."""
    return {
        str(rule["id"]): bool(rule["status"] == "passed") if rule["failed_rows"] is None else int(rule["failed_rows"])
        for rule in rules
    }
