"""Files of checks of SodaCL, version 3, as rule files: what Soda Core 3 does on Spark.

A file may be about several data sets; one of them becomes the rule file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from functools import partial
from typing import Any

from quality.errors import Problem, RuleFileError
from quality.rulefile.dqdl.losses import Converted, Lost
from quality.rulefile.dqdl.rules_of_ours import Entry, slug
from quality.rulefile.imports.choosing import chosen
from quality.rulefile.imports.soda_checks import entries, watched
from quality.rulefile.imports.soda_values import KEYS
from quality.rulefile.imports.user_sql import over_batch
from quality.rulefile.imports.writing import Writing
from quality.rulefile.nodes import Node

_NAME = r"(?P<name>\"[^\"]+\"|`[^`]+`|[^\s\[]+)"
_HEADER = re.compile(rf"(?P<what>checks for|filter|configurations for)\s+{_NAME}(?:\s*\[(?P<part>[^\]]+)\])?\s*")
_FOR_EACH = re.compile(r"for each (?:dataset|table)\s+\S+\s*")
_VARIABLE = re.compile(r"\$\{\s*(?:var\.)?(\w+)\s*\}")
_OF_COLUMN = re.compile(rf"({'|'.join(KEYS)}) for (.+)")
#: Sections that demand nothing of the data.
_NOT_DEMANDS = (
    "profile columns",
    "discover datasets",
    "discover tables",
    "sample datasets",
    "sample tables",
    "automated monitoring",
)


def is_checks(tree: Node) -> bool:
    """Whether a file's content is one of checks."""
    return any(key.startswith("checks for ") or _FOR_EACH.fullmatch(key) for key in tree.mapping)


def to_yaml(
    tree: Node,
    file: str,
    *,
    dataset: str = "",
    input_path: str = "",
    root: str = "",
    references: Mapping[str, str] | None = None,
    variables: Mapping[str, Any] | None = None,
) -> Converted:
    """The rule file of one data set, and what is not in it. `variables` override those of the file. Raises RuleFileError
    when there is no such data set."""
    return _Reading(tree, file, variables or {}).whole(dataset, input_path, root, references or {})


class _Reading:
    def __init__(self, tree: Node, file: str, variables: Mapping[str, Any]) -> None:
        if not tree.mapping:
            raise RuleFileError([Problem(file, tree.line, "a file of checks has sections such as 'checks for orders'")])
        self.tree, self.file = tree, file
        given = tree.mapping["variables"].plain() if "variables" in tree.mapping else {}
        given = {**(given if isinstance(given, dict) else {}), **variables}
        self.variables = {str(name): str(value) for name, value in given.items()}

    def whole(self, dataset: str, input_path: str, root: str, references: Mapping[str, str]) -> Converted:
        each = [node for key, node in self.tree.mapping.items() if _FOR_EACH.fullmatch(key)]
        is_one = bool(dataset) and any(self.is_meant(node, dataset) for node in each)
        name = dataset if is_one else chosen(self.file, self.names(), dataset, "checks")
        writing = Writing(self.file, slug(name))
        filters, columns = dict(self.filters(name)), self.configurations(name)
        for key, node in self.tree.mapping.items():
            line, header = self.tree.key_lines[key], self.filled(key)
            found = _HEADER.fullmatch(header)
            checks = node
            part = found["part"] if found else ""
            if _FOR_EACH.fullmatch(header):
                if not self.is_meant(node, name):
                    continue
                checks = node.mapping.get("checks", node)
            elif found is None or found["what"] != "checks for":
                if found is None and header != "variables":
                    self.unknown(writing, line, header, node)
                continue
            elif _plain(found["name"]) != name:
                writing.lose(line, header, "it is another data set; convert the file again with its name as --dataset")
                continue
            if part and part not in filters:
                raise RuleFileError([Problem(self.file, line, f"there is no filter '{part}' for '{name}'")])
            for check in checks.items:
                self.check(writing, check, columns, filters.get(part, "") if part else "")
        return writing.whole(input_path, root, references)

    def unknown(self, writing: Writing, line: int, header: str, node: Node) -> None:
        """A section that is none of the data set's."""
        if header.startswith(_NOT_DEMANDS):
            writing.lose(line, header, "it demands nothing of the data")
        elif header == "checks":
            for check in node.items:
                writing.add(check.line, _text(check), partial(_refuse, "checks of no data set have no form yet"))
        else:
            writing.add(line, header, partial(_refuse, "the section has no form yet"))

    def check(self, writing: Writing, node: Node, columns: dict[str, dict[str, Any]], where: str) -> None:
        """One check: a text, or a text with its keys."""
        text, config = _text(node), {}
        if node.mapping:
            body = next(iter(node.mapping.values())).plain()
            config = body if isinstance(body, dict) else {}
        what = f"{text}: {config['name']}" if text in ("schema", "failed rows") and "name" in config else text
        filled = {
            key: over_batch(value, writing.dataset) if key.endswith("query") and text != "group by" else value
            for key, value in self.filled(config).items()
        }
        # what a schema check demands are demands of their own
        parts = _demands(filled) if text == "schema" else [("", filled)]
        for named, part in parts:
            asked = self.filled(text), part, columns, self.filled(where)
            if text.startswith("anomaly "):
                writing.add(node.line, what, partial(self.watched, writing, *asked))
            else:
                writing.add(node.line, f"{what}{named}", partial(entries, *asked, self.variables))

    @staticmethod
    def watched(writing: Writing, *asked: Any) -> list[Entry]:
        """What is measured so that anomalies are found in it."""
        found, names = watched(*asked)
        writing.watched += [name for name in names if name not in writing.watched]
        return found

    def filled(self, value: Any) -> Any:
        """The value with the variables that the file gives a value."""
        if isinstance(value, dict):
            return {self.filled(key): self.filled(one) for key, one in value.items()}
        if isinstance(value, list):
            return [self.filled(one) for one in value]
        if not isinstance(value, str):
            return value
        return _VARIABLE.sub(lambda found: self.variables.get(found[1], found[0]), value)

    def names(self) -> dict[str, int]:
        """The data sets that are named, with their lines; those of `for each` where no other is."""
        found: dict[str, int] = {}
        for key, line in self.tree.key_lines.items():
            header = _HEADER.fullmatch(self.filled(key))
            if header and header["what"] == "checks for":
                found.setdefault(_plain(header["name"]), line)
        for key, node in self.tree.mapping.items():
            if _FOR_EACH.fullmatch(key):
                listed = [one for one in self.listed(node) if "%" not in one and not one.startswith("exclude ")]
                found |= {one: node.line for one in listed if one not in found}
        return found

    def listed(self, node: Node) -> list[str]:
        """The data sets that a `for each` names."""
        section = node.mapping.get("datasets") or node.mapping.get("tables") or Node([], self.file, node.line)
        return [str(one.plain()).removeprefix("include ") for one in section.items]

    def is_meant(self, node: Node, name: str) -> bool:
        """Whether a `for each` is about a data set."""
        listed = self.listed(node)
        left_out = any(_fits(name, one.removeprefix("exclude ")) for one in listed if one.startswith("exclude "))
        return not left_out and any(_fits(name, one) for one in listed if not one.startswith("exclude "))

    def filters(self, name: str) -> Iterator[tuple[str, str]]:
        """The conditions of a data set by their names."""
        for header, found, node in self.sections("filter"):
            if _plain(found["name"]) == name and found["part"]:
                where = node.mapping.get("where")
                if where is None:
                    raise RuleFileError([Problem(self.file, node.line, f"'{header}' has no 'where'")])
                yield found["part"], str(where.plain()).strip()

    def configurations(self, name: str) -> dict[str, dict[str, Any]]:
        """What is said about the columns of a data set, for all its checks."""
        columns: dict[str, dict[str, Any]] = {}
        for _, found, node in self.sections("configurations for"):
            for key, value in node.mapping.items() if _plain(found["name"]) == name else ():
                said = _OF_COLUMN.fullmatch(key)
                if said is None:
                    raise RuleFileError(
                        [Problem(self.file, node.key_lines[key], f"'{key}' is no key such as 'valid min for size'")]
                    )
                columns.setdefault(_plain(said[2]), {})[said[1]] = self.filled(value.plain())
        return columns

    def sections(self, what: str) -> Iterator[tuple[str, re.Match[str], Node]]:
        for header, node in self.tree.mapping.items():
            found = _HEADER.fullmatch(self.filled(header))
            if found and found["what"] == what:
                yield header, found, node


def _demands(config: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """A schema check once for each thing that it demands, with its name."""
    others = {key: value for key, value in config.items() if key not in ("fail", "warn")}
    found = [
        (f", {key}", {**others, word: {key: value}})
        for word in ("fail", "warn")
        for key, value in (config[word].items() if isinstance(config.get(word), dict) else ())
    ]
    return found or [("", config)]


def _plain(name: str) -> str:
    return name.strip().strip('"`')


def _fits(name: str, glob: str) -> bool:
    return fnmatchcase(name.lower(), _plain(glob).lower().replace("%", "*"))


def _text(node: Node) -> str:
    return (next(iter(node.mapping)) if node.mapping else str(node.plain())).strip()


def _refuse(why: str) -> list[Any]:
    raise Lost(why)
