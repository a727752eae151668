"""Singular tests of dbt: files of SQL in a project, each a query for failing rows. They stand beside no property file, so they are
looked for in the project that holds it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from quality.rulefile.dqdl.entries import Entry
from quality.rulefile.dqdl.losses import Lost
from quality.rulefile.imports.user_sql import failing_rows
from quality.rulefile.imports.writing import reference_name

PROJECT = "dbt_project.yml"
#: Files of tests that are read of a project, and the longest of them.
_MOST, _LONGEST = 2000, 200_000
_COMMENT = re.compile(r"\{#.*?#\}", re.DOTALL)
_CONFIG = re.compile(r"\{\{-?\s*config\s*\((.*?)\)\s*-?\}\}", re.DOTALL)
_ARGUMENT = re.compile(r"(\w+)\s*=\s*(?:'([^']*)'|\"([^\"]*)\"|(\w+))")
_POINTER = re.compile(r"\{\{-?\s*(?:ref|source)\s*\(([^()]*)\)\s*-?\}\}")
_QUOTED = re.compile(r"['\"]([^'\"]+)['\"]")


@dataclass(frozen=True)
class Singular:
    """A singular test: its name, its place in the project, and its SQL with its templates."""

    name: str
    place: str
    text: str

    @property
    def models(self) -> list[str]:
        """The models and sources it reads, in order."""
        return [
            _QUOTED.findall(found)[-1]
            for found in _POINTER.findall(_COMMENT.sub("", self.text))
            if _QUOTED.search(found)
        ]

    @property
    def config(self) -> dict[str, Any]:
        """What it says of itself: severity, limits, whether it is switched on."""
        said = ",".join(_CONFIG.findall(self.text))
        return {word: next(filter(None, values), "") for word, *values in _ARGUMENT.findall(said)}


def by_model(properties: str) -> Mapping[str, Sequence[Singular]]:
    """The singular tests of the project around a property file, each with every model that it reads: one about several
    is a demand on each of them."""
    found: dict[str, list[Singular]] = {}
    for path, place in _files(Path(properties)):
        test = Singular(path.stem, place, path.read_text(encoding="utf-8", errors="replace"))
        for model in dict.fromkeys(test.models):
            found.setdefault(model, []).append(test)
    return found


def _files(properties: Path) -> Iterator[tuple[Path, str]]:
    root = next((place for place in properties.resolve().parents if (place / PROJECT).is_file()), None)
    if root is None:
        return
    number = 0
    for folder in _folders(root / PROJECT):
        for path in sorted((root / folder).rglob("*.sql")):
            # in generic/ are macros, which define tests
            if "generic" in path.relative_to(root / folder).parts or path.stat().st_size > _LONGEST:
                continue
            number += 1
            if number > _MOST:
                return
            yield path, path.relative_to(root).as_posix()


def _folders(project: Path) -> list[str]:
    try:
        said = yaml.safe_load(project.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        said = None
    paths = said.get("test-paths") if isinstance(said, dict) else None
    folders = [paths] if isinstance(paths, str) else paths if isinstance(paths, list) else ["tests"]
    # a project's folders lie in it
    return [one for one in map(str, folders) if ".." not in Path(one).parts and not Path(one).is_absolute()]


def entries(
    test: Singular, model: str, alerts: Callable[[Mapping[str, Any], str], list[tuple[dict[str, Any], int]]]
) -> list[Entry]:
    """The demand that the query of a test returns no rows, or so few. Raises Lost."""
    config = test.config
    for word in ("where", "fail_calc"):
        if config.get(word):
            raise Lost(f"its {word} has no form")
    query = _query(test, model)
    return [
        failing_rows(query, {"name": test.name, **_allowed(rows), **beside}, "")
        for beside, rows in alerts(config, "rows")
    ]


def _allowed(rows: int) -> dict[str, str]:
    return {"tolerance": f"{rows} row{'s' if rows > 1 else ''}"} if rows else {}


def _query(test: Singular, model: str) -> str:
    text = _CONFIG.sub("", _COMMENT.sub("", test.text))

    def named(found: re.Match[str]) -> str:
        names = _QUOTED.findall(found[1])
        return "" if not names else "this" if names[-1] == model else reference_name(names[-1])

    query = _POINTER.sub(named, text)
    if "{{" in query or "{%" in query:
        raise Lost("templates of dbt other than ref(), source() and config() have no value here; write the query")
    lines = (line for line in query.splitlines() if line.strip() and not line.lstrip().startswith("--"))
    return "\n".join(lines).strip().removesuffix(";").strip()
