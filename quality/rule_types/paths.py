"""Paths into columns: `a.b` is a field of a struct, `items[]` every element of an array, `m[keys]` and `m[values]` those of a
map. A part in backquotes is a name as it stands: `` `odd.name`.b ``."""

from __future__ import annotations

import re

#: What can stand for the elements of a column.
ELEMENTS = ("[]", "[keys]", "[values]")
_PART = re.compile(r"(`(?:[^`]|``)+`|[^`.\[\]]+)|(\[(?:keys|values)?\])|(\.)")


def split(path: str) -> tuple[str, ...]:
    """The parts of a path, one of `ELEMENTS` among them where elements are meant; none for what is no path."""
    parts: list[str] = []
    place, dotted = 0, True
    while place < len(path):
        found = _PART.match(path, place)
        if found is None or (found[1] is None) == dotted:
            return ()
        if found[1]:
            parts.append(found[1][1:-1].replace("``", "`") if found[1][0] == "`" else found[1])
        elif found[2]:
            parts.append(found[2])
        dotted = bool(found[3])
        place = found.end()
    return () if dotted else tuple(parts)


def struct_fields(type_name: str) -> dict[str, str]:
    """Fields of a struct type text by lower-case name: ``struct<a:int,`x,y`:date>`` -> {a: int, x,y: date}."""
    fields = {}
    for entry in _inner(type_name):
        name, _, kind = re.fullmatch(r"(`(?:[^`]|``)*`|[^:]*)(:)(.*)", entry).groups()  # type: ignore[union-attr]
        fields[name.strip("`").replace("``", "`").lower()] = kind.strip()
    return fields


def element_type(type_name: str, part: str) -> str:
    """The type of the elements that a part stands for; empty where a column of this type has none."""
    kind = type_name.partition("<")[0].lower()
    if kind == "array" and part == "[]":
        return _inner(type_name)[0]
    if kind == "map" and part != "[]":
        return _inner(type_name)[part == "[values]"]
    return ""


def elements_sql(reference: str, part: str) -> str:
    """SQL of the array of the elements."""
    return {"[]": reference, "[keys]": f"map_keys({reference})", "[values]": f"map_values({reference})"}[part]


def _inner(type_name: str) -> list[str]:
    """What stands between the angle brackets of a type, at its commas."""
    found, depth, start, quoted = [], 0, 0, False
    inner = type_name[type_name.find("<") + 1 : -1] + ","
    for index, sign in enumerate(inner):
        quoted ^= sign == "`"
        depth += 0 if quoted else {"<": 1, "(": 1, ">": -1, ")": -1}.get(sign, 0)
        if sign == "," and depth == 0 and not quoted:
            found.append(inner[start:index].strip())
            start = index + 1
    return [entry for entry in found if entry]
