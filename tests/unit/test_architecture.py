"""The shape of the package: imports point one way, few modules know the heavy libraries, modules stay readable."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted((ROOT / "quality").rglob("*.py"))

#: What stands further down may import what stands above it, never the other way round. What stands in one line is one.
LAYERS = (
    "errors", "formulas", "model", "sql", "query_text", "sensitive", "casts", "analyzers anomaly", "matches distributions", "orders", "rule_types", "rulefile", "tally", "row_samples", "profiles", "drifting", "suggesting", "grouping", "passes", "elements", "checks", "planner", "verification",
    "backends jars",
    "keys", "further", "scan", "element_scan", "group_scan", "queries", "tally_scan", "profiling", "engine", "rows", "storage", "comparing", "totals", "ordering", "references", "corrections", "referenced", "history_reader", "compaction", "suggestion", "lookback", "targets", "history",
    "report", "exploring", "results", "anomalies", "file_groups", "slices", "localise", "culprits", "sides", "publishing", "runs", "backfill", "examples", "windows", "streams", "versions",
    "quarantine", "standing", "returning", "redrive",
    "example_batch", "mutants", "many", "mutation",
    "demo_data", "demo", "progress", "doctor", "job_stream", "entry", "commands", "cli", "__main__",
)  # fmt: skip
RANKS = {unit: rank for rank, units in enumerate(LAYERS) for unit in units.split()}


def unit(path):
    """`quality/rulefile/nodes.py` -> `rulefile`."""
    return path.relative_to(ROOT / "quality").with_suffix("").parts[0]


def imports(path):
    """Every name a module imports, wherever: `quality.storage.commit`, `pyspark.sql`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def users(library):
    """Modules that import a library, with where in the package they stand."""
    return {
        str(p.relative_to(ROOT / "quality")) for p in MODULES if any(n.split(".")[0] == library for n in imports(p))
    }


def test_every_module_has_its_place():
    assert {unit(path) for path in MODULES} - {"__init__"} == set(RANKS), "add the module to LAYERS where it belongs"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_one_way(path):
    used = {name.split(".")[1] for name in imports(path) if name.startswith("quality.")} & set(RANKS)
    upward = {other for other in used if unit(path) in RANKS and RANKS[other] > RANKS[unit(path)]}
    assert not upward, f"{path.name} imports {upward}, which stand above it"


def test_spark_is_known_from_the_backends_on():
    early = {name for name in users("pyspark") if RANKS[Path(name).with_suffix("").parts[0]] < RANKS["backends"]}
    assert not early


def test_deequ_is_known_in_one_module():
    assert users("pydeequ") == {"backends/deequ.py"}
    named = {path.name for path in MODULES if "com.amazon.deequ" in path.read_text(encoding="utf-8")}
    assert named == {"deequ.py", "jars.py"}


def test_the_aws_library_is_known_where_things_are_kept():
    assert {name.partition("/")[0] for name in users("boto3") | users("botocore")} == {"storage"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_is_short_enough_to_read_and_says_what_its_public_parts_are(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 500
    tree = ast.parse(text)
    assert ast.get_docstring(tree)
    parts = [node for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name[0] != "_"]
    assert [node.name for node in parts if not ast.get_docstring(node)] == []
