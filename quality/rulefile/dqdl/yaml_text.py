"""Writes plain data as YAML in one line, so that the loader of rule files reads the same data: YAML 1.2 scalars, and
what looks like a template kept from being one."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from quality.rulefile.nodes import core_scalar
from quality.rulefile.templates import is_template

#: Texts that mean themselves without quotes, wherever they stand.
_PLAIN = re.compile(r"[A-Za-z_](?:[A-Za-z0-9_./() -]*[A-Za-z0-9_./()])?|[0-9]+(?:\.[0-9]+)?%")
_TEMPLATE_SIGNS = re.compile(r"\{[{%#]|[\r\n]+")


class Template(str):
    """A text in which templates are meant."""

    __slots__ = ()


def flow(value: Any) -> str:
    """A value as YAML flow text."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_scalar(str(key))}: {flow(entry)}" for key, entry in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(flow(entry) for entry in value) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, str):
        return _scalar(value if isinstance(value, Template) else untemplated(value))
    return str(value)


def untemplated(text: str) -> str:
    """The text as a template that renders to it, when it would be taken for one."""
    if not is_template(text):
        return text
    # templates lose line ends and the signs that begin one, unless an expression gives them
    return _TEMPLATE_SIGNS.sub(lambda found: "{{ " + json.dumps(found.group()) + " }}", text)


def _scalar(text: str) -> str:
    if _PLAIN.fullmatch(text) and _reads_as_text(text):
        return text
    # what has backslashes is mostly a regular expression, and reads better without doubling them
    if "\\" in text and text.isprintable():
        return "'" + text.replace("'", "''") + "'"
    # JSON leaves DEL and the C1 controls as they are, YAML refuses them
    return re.sub(
        r"[\x7f-\x9f\ufeff\u2028\u2029\ufffe\uffff]",
        lambda sign: f"\\u{ord(sign[0]):04x}",
        json.dumps(text, ensure_ascii=False),
    )


def _reads_as_text(text: str) -> bool:
    try:
        return core_scalar(text) == text
    except ValueError:
        return False
