"""A rule file in another language: DQDL for YAML, YAML for DQDL; what is only read, and what is only written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from quality.errors import UsageError
from quality.rulefile import nodes
from quality.rulefile.dqdl.losses import Converted
from quality.rulefile.dqdl.parser import MAX_BYTES, parse
from quality.rulefile.dqdl.to_dqdl import to_dqdl
from quality.rulefile.dqdl.to_yaml import to_yaml
from quality.rulefile.imports import dbt, expectations, odcs, soda
from quality.rulefile.imports.to_odcs import to_odcs
from quality.rulefile.loader import load
from quality.rulefile.references import unread_input

#: Languages that are only read: whether a file's content is of it, and how it is read.
IMPORTERS: dict[str, tuple[Callable[[nodes.Node], bool], Callable[..., Converted]]] = {
    "expectations": (expectations.is_suite, expectations.to_yaml),
    "soda": (soda.is_checks, soda.to_yaml),
    "dbt": (dbt.is_properties, dbt.to_yaml),
    "odcs": (odcs.is_contract, odcs.to_yaml),
}


def language(path: str | Path) -> str:
    """The language that a file's name tells: yaml, dqdl, or empty."""
    return {".yml": "yaml", ".yaml": "yaml", ".dqdl": "dqdl"}.get(Path(path).suffix.lower(), "")


def convert_file(
    path: str | Path,
    to: str = "",
    *,
    batch: str | None = None,
    variables: Mapping[str, Any] | None = None,
    allow_env: frozenset[str] = frozenset(),
    input_path: str | None = None,
    root: str | None = None,
    dataset: str | None = None,
    references: Mapping[str, str] | None = None,
    origin: str = "",
) -> Converted:
    """The file in the language `to`, or in the other one when its name tells its own; `origin` says what its name does not.
    A suite of Great Expectations (JSON), checks of SodaCL, tests of dbt and contracts of ODCS (YAML) are told by their content, and become YAML.

    `batch`, `variables` and `allow_env` render the templates of a YAML file, `variables` those of checks of SodaCL
    too; `input_path`, `root` and `dataset` are those of the YAML file that comes out, `references` (name: place, as
    `--reference` takes it) where its references lie. Raises RuleFileError with every mistake of the file, UsageError when it cannot be read or
    the language cannot be told.
    """
    named: Any = {
        "dataset": dataset or "",
        "input_path": input_path or "",
        "root": root or "",
        "references": references,
    }
    if origin in IMPORTERS or (not origin and Path(path).suffix.lower() in (".json", ".yml", ".yaml")):
        tree = nodes.parse(_text(Path(path)), str(path))
        for name, (is_it, read) in IMPORTERS.items():
            if name == origin or (not origin and is_it(tree)):
                if to not in ("", "yaml"):
                    raise UsageError(f"{path}: it becomes a rule file; convert that to {to}")
                values = {"variables": variables} if read is soda.to_yaml else {}
                return read(tree, str(path), **named, **values)
    own = origin or language(path)
    if not to:
        if not own:
            raise UsageError(
                f"{path}: the name does not tell the language (.yml, .yaml or .dqdl); say --to yaml or --to dqdl"
            )
        to = "dqdl" if own == "yaml" else "yaml"
    if to == own:
        raise UsageError(f"{path} is {to} already")
    if to in ("dqdl", "odcs"):
        # neither language says where a batch lies
        given: Any = {
            "input_path": input_path or unread_input(path),
            "root": root,
            "dataset": dataset,
            "references": references,
        }
        rule_set = load(path, batch=batch, variables=variables, allow_env=allow_env, **given)
        return to_dqdl(rule_set) if to == "dqdl" else to_odcs(rule_set)
    return to_yaml(parse(_text(Path(path)), str(path)), str(path), **named, whole=True)


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UsageError(f"{path}: a rule file of more than {MAX_BYTES:,} bytes is refused")
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise UsageError(f"{path}: there is no such rule file") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: a rule file is UTF-8 text; byte {error.start} is not") from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None
