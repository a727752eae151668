"""Spark SQL as text: quoting of names and literals, and what a steward's expression may not contain.

Expressions are code from a colleague. Here they are only tokenised (no Spark); Spark's own parser and analyser
have the last word before anything runs.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from quality.model import Scalar

_TOKEN = re.compile(
    r"""
    (?P<space>\s+)
  | (?P<comment>--|/\*)
  | (?P<string>[rR]?'(?:[^'\\]|\\.)*' | [rR]?"(?:[^"\\]|\\.)*")
  | (?P<quoted>`(?:[^`]|``)*`)
  | (?P<number>\d+(?:\.\d*)?(?:[eE][+-]?\d+)?\w* | \.\d+(?:[eE][+-]?\d+)?\w*)
  | (?P<word>[^\W\d]\w*)
  | (?P<open>['"`])
  | (?P<sign>.)
    """,
    re.VERBOSE | re.DOTALL,
)

#: Functions whose value changes between two looks at the same row, or that leave Spark SQL.
FORBIDDEN_FUNCTIONS = {
    name: reason
    for reason, names in {
        "gives another value each time it is read": (
            "rand randn random uuid shuffle monotonically_increasing_id spark_partition_id input_file_name "
            "input_file_block_start input_file_block_length"
        ),
        "depends on the clock; write {{ run_time }} or {{ batch }} instead": (
            "current_timestamp current_date now localtimestamp curdate"
        ),
        "runs code outside Spark SQL": "reflect java_method try_reflect",
    }.items()
    for name in names.split()
}
#: Functions over many rows: they would change what a row is.
AGGREGATES = frozenset(
    [
        "any",
        "any_value",
        "approx_count_distinct",
        "approx_percentile",
        "array_agg",
        "avg",
        "bit_and",
        "bit_or",
        "bit_xor",
        "bitmap_construct_agg",
        "bool_and",
        "bool_or",
        "collect_list",
        "collect_set",
        "corr",
        "count",
        "count_if",
        "count_min_sketch",
        "covar_pop",
        "covar_samp",
        "every",
        "first",
        "first_value",
        "grouping",
        "hll_sketch_agg",
        "hll_union_agg",
        "kurtosis",
        "last",
        "last_value",
        "max",
        "max_by",
        "mean",
        "median",
        "min",
        "min_by",
        "mode",
        "percentile",
        "percentile_approx",
        "regr_avgx",
        "regr_avgy",
        "regr_count",
        "regr_intercept",
        "regr_r2",
        "regr_slope",
        "regr_sxx",
        "regr_sxy",
        "regr_syy",
        "skewness",
        "some",
        "std",
        "stddev",
        "stddev_pop",
        "stddev_samp",
        "sum",
        "try_avg",
        "try_sum",
        "var_pop",
        "var_samp",
        "variance",
        "row_number",
        "rank",
        "dense_rank",
        "ntile",
        "lag",
        "lead",
        "nth_value",
        "cume_dist",
        "percent_rank",
        "explode",
        "explode_outer",
        "posexplode",
        "posexplode_outer",
        "inline",
        "inline_outer",
        "stack",
    ]
)
_FORBIDDEN_WORDS = {"select", "from", "insert", "update", "delete", "drop", "create", "alter", "union"}
_BARE_CLOCKS = {"current_timestamp", "current_date", "localtimestamp"}
#: Words that Spark takes for the moment of reading where a text becomes a date or time, a zone may follow; 'epoch' is always the same.
_CLOCK_WORDS = re.compile("now|today|tomorrow|yesterday", re.IGNORECASE)
_CLOCK_WORD = re.compile(rf"\s*(?:{_CLOCK_WORDS.pattern})\b[ \t]*\S*\s*", re.IGNORECASE)
_MOMENT_TYPES = {"date", "timestamp", "timestamp_ntz", "timestamp_ltz"}
_MOMENT_CALLS = _MOMENT_TYPES | {
    f"{prefix}to_{kind}" for prefix in ("", "try_") for kind in ("date", "timestamp", "timestamp_ntz", "timestamp_ltz")
}


def quote(name: str) -> str:
    """A column name as an identifier, whatever characters it holds."""
    return "`" + name.replace("`", "``") + "`"


def literal(value: Scalar) -> str:
    """A value as a Spark SQL literal. Decimals and integers keep every digit."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    if isinstance(value, int):
        return _integer(value)
    if isinstance(value, Decimal):
        return f"{value:f}BD"
    return f"double('{value!r}')" if value != value or abs(value) == float("inf") else f"{value!r}D"


def _integer(value: int) -> str:
    if -(2**31) < value < 2**31:
        return str(value)
    return f"{value}L" if -(2**63) < value < 2**63 else f"{value}BD"


def conjunction(parts: Iterable[str]) -> str:
    """Parts joined by AND, each in parentheses; `true` for none."""
    texts = [part for part in dict.fromkeys(parts) if part]
    if len(texts) == 1:
        return texts[0]
    return " and ".join(f"({text})" for text in texts) or "true"


def disjunction(parts: Iterable[str]) -> str:
    """Parts joined by OR, each in parentheses; `false` for none. Joined by halves: a thousand parts in one chain are a
    tree as deep, which Spark walks by recursion."""
    texts = [f"({part})" for part in dict.fromkeys(parts)]
    while len(texts) > 1:
        pairs = zip(texts[::2], texts[1::2], strict=False)
        texts = [f"({left} or {right})" for left, right in pairs] + (texts[-1:] if len(texts) % 2 else [])
    return texts[0] if texts else "false"


@dataclass(frozen=True)
class Token:
    """A lexical unit of an expression, and where it begins; white space is left out."""

    kind: str
    text: str
    start: int = field(default=0, compare=False)


def tokens(text: str) -> list[Token]:
    """The tokens of an expression."""
    found = []
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup or "sign"
        if kind != "space":
            found.append(Token(kind, match.group(), match.start()))
    return found


def problems(text: str) -> list[str]:
    """What is wrong with an expression before any parser sees it: empty, comments, a second statement,
    unbalanced quotes or brackets, subqueries, functions that may not be used."""
    found = tokens(text)
    if not found:
        return ["the expression is empty"]
    kinds = {token.kind for token in found}
    wrong = []
    if "comment" in kinds:
        wrong.append("comments (-- or /*) are not allowed in an expression; use a YAML comment")
    if "open" in kinds:
        wrong.append("a quote is opened and not closed")
    if any(token == Token("sign", ";") for token in found):
        wrong.append("';' is not allowed: one expression, not a statement")
    return wrong + _bracket_problems(found) + _word_problems(found)


#: What a query may read: the batch, and the batch as DQDL calls it.
RELATIONS = ("this", "primary")


def query_problems(text: str) -> list[str]:
    """What is wrong with a query before any parser sees it: no SELECT, comments, a second statement, unbalanced quotes or
    brackets, functions that may not be used. What it reads is for Spark's parser to tell."""
    found = tokens(text)
    if not found or found[0].text.lower() not in ("select", "with"):
        near = difflib.get_close_matches(found[0].text.lower(), ("select", "with"), n=1) if found else []
        meant = f"; did you mean {near[0].upper()} by '{found[0].text}'?" if near else ""
        return [f"a query begins with SELECT or WITH{meant}"]
    wrong = _token_problems(found, "one query, not statements") + _bracket_problems(found)
    return wrong + [problem for problem in _word_problems(found, query=True) if problem not in wrong]


def _token_problems(found: list[Token], instead: str) -> list[str]:
    kinds, wrong = {token.kind for token in found}, []
    if "comment" in kinds:
        wrong.append("comments (-- or /*) are not allowed in SQL here; use a YAML comment")
    if "open" in kinds:
        wrong.append("a quote is opened and not closed")
    if any(token == Token("sign", ";") for token in found):
        wrong.append(f"';' is not allowed: {instead}")
    return wrong


def _bracket_problems(found: list[Token]) -> list[str]:
    depth: list[str] = []
    pairs = {")": "(", "]": "[", "}": "{"}
    for token in found:
        if token.kind != "sign":
            continue
        if token.text in pairs.values():
            depth.append(token.text)
        elif token.text in pairs and (not depth or depth.pop() != pairs[token.text]):
            return [f"'{token.text}' closes nothing"]
    return [f"'{depth[-1]}' is not closed"] if depth else []


def names_clock(text: str) -> bool:
    """Whether a text in it would be the moment of reading, were it taken as a date or time."""
    return _CLOCK_WORDS.search(text) is not None and any(map(_is_clock, tokens(text)))


def _is_clock(token: Token) -> bool:
    return token.kind == "string" and _CLOCK_WORD.fullmatch(token.text.lstrip("rR")[1:-1]) is not None


def clock_problem(text: str) -> str:
    """What is wrong with such a text."""
    return f"{text} as a date or time depends on the clock; write {{{{ run_time }}}} or {{{{ batch }}}} instead"


def _clock_problems(found: list[Token]) -> list[str]:
    """Texts that are written as dates or times, and are the moment of reading."""
    wrong = []
    for index, token in enumerate(found):
        if not _is_clock(token):
            continue
        before = [one.text.strip("`").lower() for one in found[max(index - 2, 0) : index]]
        after = [one.text.lower() for one in found[index + 1 : index + 4]]
        typed = before[-1:] and before[-1] in _MOMENT_TYPES
        called = before[-1:] == ["("] and before[0] in _MOMENT_CALLS
        cast = any(after[: len(by)] == by and {*after[len(by) :][:1]} & _MOMENT_TYPES for by in (["as"], [":", ":"]))
        if typed or called or cast:
            wrong.append(clock_problem(token.text))
    return wrong


def _word_problems(found: list[Token], *, query: bool = False) -> list[str]:
    wrong = _clock_problems(found)
    for index, token in enumerate(found):
        called = index + 1 < len(found) and found[index + 1] == Token("sign", "(")
        # a quoted name is a column, unless it is called; so is a name behind a dot
        is_name = token.kind == "quoted" or (index > 0 and found[index - 1] == Token("sign", "."))
        if token.kind not in ("word", "quoted") or (is_name and not called):
            continue
        word = token.text.strip("`").lower()
        if word in FORBIDDEN_FUNCTIONS and (called or word in _BARE_CLOCKS):
            wrong.append(f"{word}() {FORBIDDEN_FUNCTIONS[word]}")
        elif word in AGGREGATES and called and not query:
            wrong.append(f"{word}() looks at many rows or makes many of one")
        elif word == "unix_timestamp" and called and found[index + 2 : index + 3] == [Token("sign", ")")]:
            wrong.append("unix_timestamp() without an argument depends on the clock; write {{ run_time }}")
        elif word in _FORBIDDEN_WORDS and not query and not called and _is_statement_word(found, index):
            wrong.append(f"'{word}' makes a query of it: an expression over one row is expected")
        elif word == "table" and not query and _names_a_table(found, index):
            wrong.append("'table' makes a query of it: an expression over one row is expected")
    return wrong


def _names_a_table(found: list[Token], index: int) -> bool:
    # `in (table t)` reads another table; a column of that name is followed by no other
    opened = index > 0 and found[index - 1] == Token("sign", "(")
    return opened and index + 1 < len(found) and found[index + 1].kind in ("word", "quoted")


def _is_statement_word(found: list[Token], index: int) -> bool:
    # `extract(year from t)`, `trim(both from x)` and `overlay(... from n)` use FROM inside a call
    return found[index].text.lower() != "from" or not any(token == Token("sign", "(") for token in found[:index])


def compares_with_null(text: str) -> bool:
    """Whether something is compared with the word NULL, by another sign than `<=>`."""
    found = tokens(text)
    for index, token in enumerate(found):
        if token.kind == "word" and token.text.lower() == "null":
            signs = "".join(one.text if one.kind == "sign" else " " for one in found[max(index - 3, 0) : index])
            if signs.endswith(("=", "<", ">")) and not signs.endswith("<=>"):
                return True
    return False


def words(text: str) -> set[str]:
    """Bare and quoted identifiers an expression mentions, functions and keywords among them."""
    named = set()
    for token in tokens(text):
        if token.kind == "word":
            named.add(token.text)
        elif token.kind == "quoted":
            named.add(token.text[1:-1].replace("``", "`"))
    return named
