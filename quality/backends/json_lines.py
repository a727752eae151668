"""JSON lines: each line is read as text and parsed between brackets, with a mark behind it.

Spark's own JSON reader takes what follows the first value of a line for nothing, an array for several rows and an empty
array for none, and refuses a query that needs nothing but the malformed lines.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pyspark.sql import DataFrame

from quality.errors import InputError
from quality.rule_types.base import MALFORMED_LINE, RESERVED_PREFIX
from quality.sql import literal, quote

_PARSED = RESERVED_PREFIX + "parsed"
#: The mark: the parser came to the end of the line.
_END = RESERVED_PREFIX + "end"


class JsonLines:
    """Texts in the column MALFORMED_LINE, and what stands beside them. Each is one object, or with `whole` the content of
    a file: an object, or an array of them."""

    def __init__(self, texts: DataFrame, options: Mapping[str, str], whole: bool) -> None:
        self.lines = texts.where(f"{MALFORMED_LINE} rlike '[^ \\t\\r\\n]'")
        self.options, self.whole = dict(options), whole

    def names(self) -> list[str]:
        """The names of all fields, sorted: the order of a JSON object says nothing. Looks at every line."""
        entries = self.lines.selectExpr(self._parsed("map<string,string>")).selectExpr(
            f"explode(get({_PARSED}, 0)) as entry"
        )
        found = entries.selectExpr("explode(map_keys(entry)) as name").distinct().collect()
        names = sorted(row["name"] for row in found)
        folded = {name.lower(): name for name in names}
        for name in names:
            if folded[name.lower()] != name:
                raise InputError(
                    f"the fields '{name}' and '{folded[name.lower()]}' differ only in case, and columns do not; name "
                    f"the one that is meant in 'schema' of 'input'"
                )
        return names

    def rows(self, names: Sequence[str]) -> DataFrame:
        """A row for each object, its fields as text; a text that is none is a row with the text alone."""
        fields = ", ".join(f"{quote(name)}: string" for name in (*names, _END))
        beside = [quote(name) for name in self.lines.columns if name != MALFORMED_LINE]
        parsed = self.lines.selectExpr(MALFORMED_LINE, *beside, self._parsed(f"struct<{fields}>"))
        one = "" if self.whole else f" and size(get({_PARSED}, 0)) = 1 and get(get({_PARSED}, 0), 0) is not null"
        good = f"coalesce(size({_PARSED}) = 2 and get(get({_PARSED}, 1), 0).{_END} = '1'{one}, false)"
        if self.whole:
            parsed = parsed.where(f"not ({good} and size(get({_PARSED}, 0)) = 0)")
        # a step of its own: each row of an array is not to carry the text of all of them
        entries = parsed.selectExpr(
            *beside,
            f"{good} as {_END}",
            f"if({good}, null, {MALFORMED_LINE}) as {MALFORMED_LINE}",
            f"if({good}, get({_PARSED}, 0), array(get(get({_PARSED}, 0), 0))) as {_PARSED}",
        )
        # explode is also what keeps the parser from running once for every rule that looks at the row
        rows = entries.selectExpr(*beside, _END, MALFORMED_LINE, f"explode_outer({_PARSED}) as {_PARSED}")
        values = [f"{_PARSED}.{quote(name)} as {quote(name)}" for name in names]
        bad = f"if({_END} and {_PARSED} is null, 'null', {MALFORMED_LINE}) as {MALFORMED_LINE}"
        return rows.selectExpr(*values, *beside, bad)

    def _parsed(self, element: str) -> str:
        """SQL: two arrays, of the objects and of the mark; NULL for a text that is no JSON."""
        # with options given, Spark does not rewrite from_json to parse less than all of it
        options = {**self.options, "mode": "PERMISSIVE"}
        listed = ", ".join(literal(word) for pair in options.items() for word in pair)
        return f"from_json({self._bracketed()}, {literal(f'array<array<{element}>>')}, map({listed})) as {_PARSED}"

    def _bracketed(self) -> str:
        text = f"ltrim('\ufeff \t\r\n', {MALFORMED_LINE})"
        mark = f'[{{"{_END}":"1"}}]'
        one = f"concat('[[', {text}, '\n],{mark}]')"
        return one if not self.whole else f"if({text} like '[%', concat('[', {text}, '\n,{mark}]'), {one})"
