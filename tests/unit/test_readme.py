"""What README.md shows exists: commands with their options, rule files, names, links."""

import ast
import re
import shlex
from pathlib import Path

import pytest

import dev
import quality
from quality import cli, entry
from quality.rulefile.lint import lint

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", ROOT / "jobs" / "README.md")
TEXT = PAGES[0].read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
#: Lines of code blocks, and code inside of sentences.
LINES = [line for kind, block in BLOCKS if not kind for line in block.splitlines()] + re.findall(r"`([^`\n]+)`", TEXT)


def lines(start):
    return sorted({line for line in LINES if line.startswith(start)})


@pytest.mark.parametrize("line", lines("quality "))
def test_every_command_parses(line):
    words = shlex.split(line)[1:]
    if words != ["COMMAND", "--help"]:
        options = cli._parser().parse_args(words)
        assert callable(options.command)


@pytest.mark.parametrize("line", lines("python3 dev.py"))
def test_every_task_of_a_checkout_exists(line):
    task, *options = shlex.split(line)[2:]
    assert f"python3 dev.py {task}" in (dev.__doc__ or "")
    if task == "demo":
        assert cli._parser().parse_args(["demo", *options]).days
    for word in options if task == "test" else ():
        own = f'addoption("{word}"' in (ROOT / "tests" / "conftest.py").read_text(encoding="utf-8")
        assert own if word.startswith("--") else (ROOT / word).exists()


@pytest.mark.parametrize("line", lines("spark-submit --"))
def test_every_job_parses(line):
    words = shlex.split(line)
    script = words.index("jobs/quality_job.py")
    assert (ROOT / words[script]).is_file()
    assert entry.parse(words[script + 1 :]).ignored == ()


def test_there_is_something_to_test():
    assert len(lines("quality ")) > 8
    assert len(lines("python3 dev.py")) > 4
    assert lines("spark-submit --")


@pytest.mark.parametrize("block", [block for kind, block in BLOCKS if kind == "yaml"])
def test_every_rule_file_lints(block, rule_file):
    report = lint(str(rule_file(block)))
    assert (report.problems, report.warnings) == ((), ())


@pytest.mark.parametrize("block", [block for kind, block in BLOCKS if kind == "python"])
def test_every_name_of_the_package_is_public(block):
    used = [node for node in ast.walk(ast.parse(block)) if isinstance(node, ast.Attribute)]
    names = {node.attr for node in used if isinstance(node.value, ast.Name) and node.value.id == "quality"}
    assert names <= set(quality.__all__)
    results = {node.attr for node in used if isinstance(node.value, ast.Name) and node.value.id == "result"}
    assert results <= {*dir(quality.RunResult), *quality.RunResult.__dataclass_fields__}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page):
    found = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8"))
    assert [link for link in found if "://" not in link and not (page.parent / link).exists()] == []


def test_imports_follow_the_module_map():
    block = next(block for kind, block in BLOCKS if "rule_types/" in block)
    rows = [re.findall(r"[a-z_]+", line[:26]) for line in block.splitlines()]
    level = {name: number for number, names in enumerate(rows) for name in names}
    upward = [
        f"{path.relative_to(ROOT)} imports {other}"
        for path in (ROOT / "quality").rglob("*.py")
        for other in imported(path)
        if level.get(other, -1) > level.get(path.relative_to(ROOT / "quality").parts[0].removesuffix(".py"), len(rows))
    ]
    assert upward == []
    assert all((ROOT / "quality" / name).is_dir() or (ROOT / "quality" / f"{name}.py").is_file() for name in level)


def imported(path):
    """The first names below `quality` that a file imports, for type checkers or late ones too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == "quality":
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("quality."):
            yield str(node.module).split(".")[1]
