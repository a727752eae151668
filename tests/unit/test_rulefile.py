"""The rule language: forms, ids, fingerprints, YAML, `extends`, `vars`, templates, input, defaults."""

from __future__ import annotations

import math
import textwrap
import time
from decimal import Decimal

import pytest

from quality.errors import RuleFileError, UsageError
from quality.model import Nulls, OnFail, Severity, Tolerance
from quality.rulefile import load
from quality.rulefile.lint import expanded, lint
from quality.rulefile.nodes import core_scalar

HEAD = """\
version: 1
dataset: orders
input: {path: orders.csv, options: {header: true}}
"""


@pytest.fixture
def rules(rule_file):
    """Loads the head of a rule file with this below it."""

    def read(body="", name="rules.yml", **given):
        return load(rule_file(HEAD + textwrap.dedent(body), name), **given)

    return read


@pytest.fixture
def whole(rule_file):
    """Loads a whole rule file."""
    return lambda text, **given: load(rule_file(textwrap.dedent(text)), **given)


@pytest.fixture
def rule(rules):
    """The one rule of a file that is not `malformed`."""

    def read(body, **given):
        (found,) = (rule for rule in rules(body, **given).rules if rule.check.type != "malformed")
        return found

    return read


def mistakes(call, *args, **given):
    with pytest.raises(RuleFileError) as caught:
        call(*args, **given)
    return [f"{problem.line}: {problem.message}" for problem in caught.value.problems]


# forms

SAME = {
    "required": ("columns: {a: {required: true}}", "rules: [required: {column: a}]"),
    "a bare column": ("columns: {a: {required: true}}", "rules: [required: a]"),
    "between": ("columns: {a: {between: [1, 2]}}", "rules: [between: {column: a, range: [1, 2]}]"),
    "between in words": (
        "columns: {a: {values: {between: [1, 2]}}}",
        "rules: [values: {column: a, at_least: 1, at_most: 2}]",
    ),
    "the words in another order": (
        "rules: [values: {column: a, at_most: 2, at_least: 1}]",
        "rules: [values: {column: a, at_least: 1, at_most: 2}]",
    ),
    "above": ("columns: {a: {above: 0}}", "rules: [above: {column: a, value: 0}]"),
    "in": ("columns: {a: {in: [x, y]}}", "rules: [in: {column: a, values: [x, y]}]"),
    "matches": ("columns: {a: {matches: '[A-Z]'}}", "rules: [matches: {column: a, pattern: '[A-Z]'}]"),
    "a pattern in long form": ("columns: {a: {matches: x}}", "columns: {a: {matches: {pattern: x}}}"),
    "key": ("key: [a, b]", "rules: [key: {columns: [a, b]}]"),
    "unique": ("columns: {a: {unique: true}}", "rules: [unique: {columns: [a]}]"),
    "that": ("rules: [that: a > 0]", "rules: [that: {expression: a > 0}]"),
    "length": ("columns: {a: {length: {between: [1, 2]}}}", "rules: [length: {column: a, at_least: 1, at_most: 2}]"),
    "a metric": (
        "columns: {a: {mean: {above: 0, severity: warning}}}",
        "rules: [{mean: {column: a, above: 0}, severity: warning}]",
    ),
    "an integer": ("columns: {a: {type: integer}}", "rules: [type: {column: a, is: int}]"),
    "modifiers": (
        "columns: {a: {required: {where: b > 0, severity: info}}}",
        "rules: [{required: {column: a}, where: b > 0, severity: info}]",
    ),
    "what is so anyway": (
        "rules: [that: a > 0]",
        "rules: [{that: a > 0, tolerance: 0, severity: error, on_fail: quarantine, nulls: pass}]",
    ),
    "an optional argument": (
        "rules: [distinct_count: {column: a, above: 1}]",
        "rules: [distinct_count: {column: a, above: 1, approximate: false}]",
    ),
    "percent": ("rules: [{that: a > 0, tolerance: 5%}]", "rules: [{that: a > 0, tolerance: 0.05}]"),
    "rows": ("rules: [{that: a > 0, tolerance: '1,000 rows'}]", "rules: [{that: a > 0, tolerance: {rows: 1000}}]"),
    "a default": (
        "defaults: {severity: warning}\nrules: [that: a > 0]",
        "rules: [{that: a > 0, severity: warning}]",
    ),
    "malformed": ("rules: []", "rules: [malformed: true]"),
    "types of the input": (
        "rules: [schema: {declared: {a: int}}]",
        "rules: [schema: {declared: {a: integer}, extra: allow}]",
    ),
}


@pytest.mark.parametrize(("one", "other"), SAME.values(), ids=SAME)
def test_two_forms_of_a_rule_are_one_rule(rules, one, other):
    assert rules(one).fingerprint == rules(other).fingerprint
    assert [r.check for r in rules(one).rules] == [r.check for r in rules(other).rules]


def test_a_false_demand_is_no_rule(rules):
    assert [r.id for r in rules("columns: {a: {required: false, unique: false}}").rules] == ["malformed"]


def test_a_type_under_rules_types_the_column_as_one_under_columns_does(rules):
    assert rules("rules: [type: {column: a, is: integer}]").declared_types == {"a": "int"}


# ids

IDS = {
    "rules: [{id: The Id, name: x, that: a > 0}]": "The Id",
    "rules: [{name: 'Arrival needs (a) departure!', that: a > 0}]": "arrival-needs-a-departure",
    "rules: [{name: Preis über 0, that: a > 0}]": "preis-über-0",
    "columns: {A b: {above: 0}}": "A b.above",
    "rules: [unique: [a, b]]": "unique(a,b)",
    "key: [a, b]": "key(a,b)",
    "rules: [row_count: {above: 0}]": "row_count",
    "rules: [that: a > 0]": "that",
    "columns: {a: {mean: {above: 5, severity: warning}}}": "a.mean",
}


@pytest.mark.parametrize(("body", "expected"), IDS.items())
def test_a_rule_is_called_by_its_id_else_its_name_else_what_it_is_about(rule, body, expected):
    assert rule(body).id == expected


def test_two_rules_of_one_id_need_a_name(rules):
    assert mistakes(rules, "rules:\n  - that: a > 0\n  - that: b > 0\n") == [
        "6: two rules are called 'that' (the other in line 5); give one of them another 'name'"
    ]


# fingerprints

BASE = """\
version: 1
dataset: orders
vars: {limit: 5}
input: {path: "in/{{ batch }}.parquet", where: "day > 1", options: {mergeSchema: true}}
columns: {a: {required: true}, b: {above: 0}}
rules:
  - name: first
    that: "a < {{ limit }} and d = '{{ batch }}'"
    where: "c > 0"
    tolerance: {ratio: 1%, rows: 10}
  - row_count: {between: [0.123456789, 9]}
  - schema: {missing: fail}
hold: {quarantined_above: 20%}
outputs: {root: "{{ env('QUALITY_ROOT', 'x') }}"}
"""


@pytest.fixture
def fingerprint(rule_file):
    return lambda old="", new="", **given: load(rule_file(_changed(old, new)), **given).fingerprint


def _changed(old, new):
    assert old in BASE
    return BASE.replace(old, new, 1) if old else BASE


UNJUDGED = {
    "a comment": ("version: 1", "# rules\nversion: 1  # of the language"),
    "the order of rules": (
        "  - row_count: {between: [0.123456789, 9]}\n  - schema: {missing: fail}",
        "  - schema: {missing: fail}\n  - row_count: {between: [0.123456789, 9]}",
    ),
    "the order of columns": ("a: {required: true}, b: {above: 0}", "b: {above: 0}, a: {required: true}"),
    "a description": ("dataset: orders", "dataset: orders\ndescription: Orders.\nowner: me"),
    "a rule's metadata": (
        "tolerance:",
        "owner: me\n    tags: [x]\n    dimension: y\n    labels: {a: b}\n    description: z\n    tolerance:",
    ),
    "examples": ("tolerance:", "examples: {pass: [{a: 1}]}\n    tolerance:"),
    "outputs": ("outputs: {root: \"{{ env('QUALITY_ROOT', 'x') }}\"}", "outputs: {root: elsewhere, flags: true}"),
    "another place": ('"in/{{ batch }}.parquet"', '"moved/{{ batch }}.parquet"'),
    "a share in other words": ("20%", "0.2"),
    "unsaid and said": ("- schema", "- severity: error\n    on_fail: hold\n    schema"),
}


@pytest.mark.parametrize(("old", "new"), UNJUDGED.values(), ids=UNJUDGED)
def test_what_judges_nothing_leaves_the_fingerprint(fingerprint, old, new):
    assert fingerprint(old, new) == fingerprint()


def test_neither_the_batch_nor_the_environment_is_in_the_fingerprint(fingerprint, monkeypatch):
    known = fingerprint()
    monkeypatch.setenv("QUALITY_ROOT", "elsewhere")
    assert {known, fingerprint(batch="2024-01-01"), fingerprint(batch="2024-01-02")} == {known}


def test_variables_that_come_from_the_batch_or_the_environment_are_not_in_the_fingerprint(fingerprint, monkeypatch):
    change = ("{limit: 5}", "{limit: \"{{ env('QUALITY_LIMIT', '5') }}\", day: 'd{{ batch }}'}")
    known = fingerprint(*change, batch="1")
    monkeypatch.setenv("QUALITY_LIMIT", "6")
    assert fingerprint(*change, batch="2") == known


JUDGED = {
    "a condition": ("a < ", "a <= "),
    "a batch in a condition": ("d = '{{ batch }}'", "d = 'x{{ batch }}'"),
    "where": ("c > 0", "c > 1"),
    "the ratio, in its last digit": ("ratio: 1%", "ratio: 1.0000001%"),
    "rows": ("rows: 10", "rows: 11"),
    "no tolerance": ("    tolerance: {ratio: 1%, rows: 10}\n", ""),
    "a bound": ("9]", "10]"),
    "a bound, in its last digit": ("0.123456789", "0.123456788"),
    "a bound that is open": ("{between: [0.123456789, 9]}", "{above: 0.123456789, at_most: 9}"),
    "a word": ("above: 0", "at_least: 0"),
    "severity": ("- schema", "- severity: warning\n    schema"),
    "on_fail": ("- schema", "- on_fail: keep\n    schema"),
    "on_fail of a row rule": ("tolerance:", "on_fail: hold\n    tolerance:"),
    "nulls": ("tolerance:", "nulls: fail\n    tolerance:"),
    "nan": ("b: {above: 0}", "b: {above: {value: 0, nan: pass}}"),
    "a default": ("columns:", "defaults: {severity: info}\ncolumns:"),
    "a variable in a rule": ("limit: 5", "limit: 6"),
    "a column that the schema rule expects": ("b: {above: 0}", "b: {above: 0}, c: "),
    "the name of a rule": ("name: first", "name: second"),
    "the share that holds": ("20%", "21%"),
    "rows of the input": ("day > 1", "day > 2"),
    "how the input is read": ("mergeSchema: true", "mergeSchema: false"),
    "the zone": ("options:", "timezone: Europe/Berlin, options:"),
    "an empty batch": ("options:", "allow_empty: true, options:"),
    "when the batch is about": ("options:", 'batch_time: "2024-{{ batch }}", options:'),
    "the data set": ("dataset: orders", "dataset: others"),
    "another rule": ("hold:", "key: [a]\nhold:"),
}


@pytest.mark.parametrize(("old", "new"), JUDGED.values(), ids=JUDGED)
def test_what_is_judged_changes_the_fingerprint(fingerprint, old, new):
    assert fingerprint(old, new) != fingerprint()


def test_a_variable_given_from_outside_changes_the_fingerprint_where_a_rule_uses_it(fingerprint):
    assert fingerprint(variables={"limit": 6}) == fingerprint("limit: 5", "limit: 6") != fingerprint()


def test_a_bound_that_depends_on_the_batch_is_not_in_the_fingerprint_by_its_value(rules):
    found = {
        rules("rules: [min: {column: d, at_least: '{{ batch }}'}]", batch=f"2024-01-0{n}").fingerprint for n in (1, 2)
    }
    assert len(found) == 1


# YAML

SCALARS = {
    "NO": "NO", "no": "no", "on": "on", "yes": "yes", "y": "y", "12:30": "12:30", "12:30:00": "12:30:00",
    "1_000": "1_000", "0o17": 15, "0x1F": 31, "017": 17, "1e3": 1000.0, "1.5": 1.5, ".5": 0.5, "-1": -1, "+2": 2,
    "true": True, "False": False, "null": None, "~": None, "": None, ".inf": math.inf, "-.INF": -math.inf,
    "2013-01-01": "2013-01-01", "1.2.3": "1.2.3", "0b1": "0b1", "tRue": "tRue", "=": "=", "9E": "9E",
    "9007199254740993": 2**53 + 1,
}  # fmt: skip


@pytest.mark.parametrize(("text", "value"), SCALARS.items())
def test_a_plain_scalar_is_what_the_core_schema_of_yaml_12_says(text, value):
    assert core_scalar(text) == value
    assert type(core_scalar(text)) is type(value)


def test_a_fraction_keeps_every_digit():
    assert core_scalar("0.1") == 0.1
    assert core_scalar("12345678901234567.89") == Decimal("12345678901234567.89")
    assert repr(core_scalar(".nan")) == "nan"


def test_country_codes_stay_texts(rule):
    assert rule("columns: {country: {in: [NO, SE, on, 12:30, 1_000, 0o17, 1e3, '007']}}").check.values == (
        "NO", "SE", "on", "12:30", "1_000", 15, 1000.0, "007",
    )  # fmt: skip


def test_a_quoted_number_with_leading_zeros_stays_a_text_in_bounds(rule):
    assert rule("columns: {code: {values: {equals: '007'}}}").check.bounds.terms == (("equals", "007"),)


YAML_MISTAKES = {
    "a: 1\n  b: 2": "2: a text with ': ' in it must be quoted; else check the indentation",
    "rules:\n\t- that: x": "2: lines are indented by blanks, not tabs",
    "version: 1\nversion: 1": "2: 'version' stands twice (first in line 1)",
    "columns:\n  a: {required: true}\n  a: {unique: true}": "3: 'a' stands twice (first in line 2)",
    "a: !!python/object:os.system {x: 1}": "1: the tag !!python/object:os.system is not allowed",
    "a: !!python/name:os.system": "1: the tag !!python/name:os.system is not allowed",
    "a: !!str 5": "1: the tag !!str is not allowed",
    "a: !mine 5": "1: the tag !mine is not allowed",
    "a: 1\n---\nb: 2": "2: a second document begins here",
    "": "1: the file is empty",
    "# nothing": "1: the file is empty",
    "- a": "1: a rule file is a mapping",
    "text": "1: a rule file is a mapping",
    "a: {{ x }}": "1: a value that begins with '{{' must be quoted",
    "a:\n  - {{ x }}/b": "2: a value that begins with '{{' must be quoted",
    "a: [1, {{ x }}]": "1: a value that begins with '{{' must be quoted",
    "? [a]\n: 1": "1: a key must be a text",
    "a: 'x": "1: a quote is opened and not closed",
    "b: 1\na: [1, 2": "2: a bracket is opened and not closed",
    "a: &x {b: 1}\nc: {<<: *x}": "2: merge keys (<<) are not of YAML 1.2",
    "a: &x [*x]": "1: aliases (*name) make more than 50 levels",
    "a: *x": "1: a value that begins with '*' must be quoted",
    "a: " + "9" * 5000: "1: a number of 5,000 digits",
    "a: 1e999": "1: the number '1e999' is too large",
    "a: \x07": "1: the character U+0007 is not allowed in YAML",
}


@pytest.mark.parametrize(("text", "message"), YAML_MISTAKES.items(), ids=range(len(YAML_MISTAKES)))
def test_what_is_no_yaml_is_told_with_its_line(whole, text, message):
    (found,) = mistakes(whole, text)
    assert found.startswith(message)


def test_templates_inside_quotes_need_no_other_quotes(rules):
    found = rules("""
        rules:
          - that: "a in ({{ batch }}, {{ batch }})"
          - name: folded
            that: >
              {{ batch }} > 1, {{ batch }}
              is not null
        """, batch="5")  # fmt: skip
    assert [r.check.expressions() for r in found.rules[1:]] == [("a in (5, 5)",), ("5 > 1, 5 is not null",)]


def test_an_alias_stands_for_its_value(rules):
    found = rules("columns: {a: {in: &codes [x, y]}, b: {in: *codes}}").rules
    assert found[1].check.values == found[2].check.values == ("x", "y")


BOMBS = {
    "aliases": "a: &a [" + "x, " * 9 + "x]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [" + f"*{chr(97 + n)}, " * 9 + f"*{chr(97 + n)}]\n" for n in range(8)
    ),
    "brackets": "a: " + "[" * 100_000,
    "braces": "a: " + "{a: " * 100_000,
    "dashes": "a:\n  " + "- " * 100_000 + "x",
}  # fmt: skip


@pytest.mark.parametrize("text", BOMBS.values(), ids=BOMBS)
def test_a_small_file_that_expands_without_end_is_refused_at_once(whole, text):
    start = time.process_time()
    (found,) = mistakes(whole, text)
    assert "levels" in found or "200,000 values" in found
    assert time.process_time() - start < 5


def test_a_huge_file_is_refused(rule_file):
    with pytest.raises(UsageError, match="more than 5,000,000 bytes"):
        load(rule_file("#" * 5_000_001))


def test_a_file_that_is_not_utf8_is_refused(tmp_path):
    path = tmp_path / "latin.yml"
    path.write_bytes("version: 1\ndescription: Größe".encode("latin-1"))
    with pytest.raises(UsageError, match="UTF-8 text; byte 26, in line 2, is not"):
        load(path)


def test_a_byte_order_mark_and_windows_line_ends_do_not_matter(tmp_path):
    path = tmp_path / "windows.yml"
    path.write_bytes(b"\xef\xbb\xbf" + HEAD.replace("\n", "\r\n").encode())
    assert load(path).dataset == "orders"


def test_a_missing_file_names_those_that_are_there(rule_file):
    path = rule_file(HEAD)
    with pytest.raises(UsageError, match=r"there is no such rule file; here are: rules\.yml"):
        load(path.with_name("rule.yml"))


# extends


@pytest.fixture
def files(tmp_path):
    """Writes several files and loads the first."""

    def read(_names=None, **texts):
        for name, text in texts.items():
            path = tmp_path / name.replace("__", "/")
            path.parent.mkdir(exist_ok=True)
            path.with_suffix(".yml").write_text(textwrap.dedent(text))
        return load(tmp_path / f"{next(iter(texts)).replace('__', '/')}.yml")

    return read


PARENT = """
    version: 1
    dataset: base
    owner: them
    input: {path: base.csv, timezone: Europe/Berlin}
    columns: {a: {required: true, above: 0}}
    rules:
      - {name: kept, that: a > 1}
      - {name: replaced, that: a > 2}
      - {id: by-id, that: a > 3}
    """


def test_a_file_that_extends_another_has_its_rules_and_its_own(files):
    found = files(
        child="""
        extends: parent.yml
        dataset: child
        input: {path: child.csv}
        columns: {a: {above: 5}, b: {required: true}}
        rules:
          - {name: replaced, that: a > 20}
          - {id: by-id, that: a > 30}
          - {name: added, that: a > 40}
        """,
        parent=PARENT,
    )
    assert (found.dataset, found.owner, found.input.path, found.input.timezone) == (
        "child", "them", ("child.csv",), "Europe/Berlin",
    )  # fmt: skip
    assert [(r.id, r.location.line) for r in found.rules if r.check.type != "that"] == [
        ("malformed", 4), ("a.required", 6), ("a.above", 5), ("b.required", 5),
    ]  # fmt: skip
    assert {r.id: r.check.expressions()[0] for r in found.rules if r.check.type == "that"} == {
        "kept": "a > 1", "replaced": "a > 20", "by-id": "a > 30", "added": "a > 40",
    }  # fmt: skip


def test_a_rule_is_placed_in_the_file_it_stands_in(files):
    found = files(child="extends: parent.yml\ncolumns: {a: {unique: true}}", parent=PARENT)
    places = {r.id: r.location.file.rpartition("/")[2] for r in found.rules}
    assert (places["a.required"], places["a.unique"], places["kept"]) == ("parent.yml", "child.yml", "parent.yml")


def test_an_empty_section_takes_nothing_away(files):
    found = files(child="extends: parent.yml\nrules:\ncolumns:\n", parent=PARENT)
    assert len(found.rules) == 1 + 2 + 3


def test_extends_is_relative_to_its_file_and_goes_on(files):
    found = files(
        sub__child="extends: ../middle.yml\nrules: [{name: c, that: c > 0}]",
        middle="extends: [parent.yml]\nrules: [{name: m, that: m > 0}]",
        parent=PARENT,
    )
    assert [r.id for r in found.rules][-5:] == ["kept", "replaced", "by-id", "m", "c"]


def test_a_file_that_is_extended_by_two_ways_counts_once(files):
    found = files(
        child="extends: [left.yml, right.yml]",
        left="extends: parent.yml",
        right="extends: parent.yml",
        parent=PARENT.replace("{name: kept, that: a > 1}", "{that: a > 1}"),
    )
    assert [r.id for r in found.rules][-3:] == ["that", "replaced", "by-id"]


def test_extends_in_a_circle_is_told_with_the_circle(files):
    found = mistakes(files, a="version: 1\nextends: b.yml", b="extends: a.yml")
    assert found == ["1: 'extends' goes round in a circle: a.yml -> b.yml -> a.yml"]


def test_extends_of_a_file_that_is_not_there_is_told(files):
    (found,) = mistakes(files, child="version: 1\nextends: parrent.yml", parent=PARENT)
    assert found.startswith("2: 'extends': there is no file ")
    assert "did you mean 'parent.yml'?" in found


@pytest.mark.parametrize("value", ("5", "'{{ batch }}.yml'", "[{a: b}]"))
def test_extends_takes_paths(files, value):
    (found,) = mistakes(files, child=f"extends: {value}")
    assert "'extends' is the path of a rule file" in found


def test_files_that_extend_each_other_without_end_are_refused_at_once(files):
    bomb = {f"f{n}": f"extends: [f{n + 1}.yml, f{n + 1}.yml]" for n in range(10)}
    (found,) = mistakes(files, **bomb, f10="version: 1")
    assert "reads more than 100" in found


# vars


def test_a_variable_may_use_those_above_it_and_one_given_from_outside_wins(rules):
    body = """
        vars: {zone: eu, bucket: "s3://{{ zone }}-data", path: "{{ bucket }}/in"}
        rules: [that: "a <> '{{ path }}'"]
        """
    assert rules(body).rules[1].check.expressions() == ("a <> 's3://eu-data/in'",)
    given = rules(body, variables={"zone": "us", "extra": "x"})
    assert given.rules[1].check.expressions() == ("a <> 's3://us-data/in'",)
    assert given.vars == {"zone": "us", "bucket": "s3://us-data", "path": "s3://us-data/in", "extra": "x"}


def test_a_variable_may_use_the_batch(whole):
    found = whole('version: 1\ndataset: a\nvars: {path: "in/{{ batch }}"}\ninput: {path: "{{ path }}.csv"}', batch="7")
    assert found.input.path == ("in/7.csv",)


VAR_MISTAKES = {
    'vars: {a: "{{ b }}", b: 1}': "'b' is not defined in the template '{{ b }}'; known: batch,",
    "vars: {batch: 1}": "variable 'batch' is set by the run; name it otherwise",
    "vars: {my-var: 1}": "variable 'my-var' is no name: letters, digits and '_'",
    "vars: {a: [1]}": "variable 'a' must be a text, number or boolean, got a list",
    "vars: {a: }": "variable 'a' must be a text, number or boolean, got nothing",
    "vars: [a]": "'vars' must be a mapping of names to values, got a list",
}


@pytest.mark.parametrize(("body", "message"), VAR_MISTAKES.items())
def test_a_wrong_variable_is_told(rules, body, message):
    (found,) = mistakes(rules, body)
    assert found.startswith(f"4: {message}")


def test_a_variable_from_outside_cannot_be_called_as_what_the_run_sets(rules):
    with pytest.raises(UsageError, match="'batch' is set by the run"):
        rules(variables={"batch": "x"})


# templates


def test_env_reads_our_own_names_and_those_that_are_allowed(rules, monkeypatch):
    monkeypatch.setenv("QUALITY_PLACE", "here")
    monkeypatch.setenv("HOME_OF_DATA", "there")
    body = "outputs: {root: \"{{ env('QUALITY_PLACE') }}/{{ env('HOME_OF_DATA') }}\"}"
    assert rules(body, allow_env=frozenset({"HOME_OF_DATA"})).outputs.root == "here/there"
    assert mistakes(rules, body) == [
        "4: env('HOME_OF_DATA') is not allowed; names begin with QUALITY_, others by --allow-env HOME_OF_DATA"
    ]


def test_env_without_a_value_has_its_default_or_is_told(rules, monkeypatch):
    monkeypatch.delenv("QUALITY_NOWHERE", raising=False)
    assert rules("outputs: {root: \"{{ env('QUALITY_NOWHERE', 'x') }}\"}").outputs.root == "x"
    assert rules("outputs: {root: \"{{ env('QUALITY_NOWHERE', default='x') }}\"}").outputs.root == "x"
    (found,) = mistakes(rules, "outputs: {root: \"{{ env('QUALITY_NOWHERE') }}\"}")
    assert found == "4: env('QUALITY_NOWHERE') is not set and has no default"


REFUSED_TEMPLATES = (
    "{{ bach }}",
    "{{ batch",
    "{{ batch | uper }}",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ env.__globals__ }}",
    "{{ env['__globals__'] }}",
    "{{ self.__init__ }}",
    "{{ self }}",
    "{{ cycler.__init__ }}",
    "{{ lipsum }}",
    "{{ range(10**9) }}",
    "{{ batch.upper() }}",
    "{{ 'x' | center(10**10) }}",
    "{{ 'x' | indent(1000000000) }}",
    "{{ 'x' * 10 ** 10 }}",
    "{{ '%99999999999d' % 1 }}",
    "{{ '{:>99999999999}'.format(1) }}",
    "{{ '{0.__class__}'.format(batch) }}",
    "{{ 2.5 | round(9999999999, 'ceil') }}",
    "{{ 'a' | replace('', 'b') | replace('', env('QUALITY_X', 'c')) | attr('upper') }}",
    "{% for n in [1, 2] %}x{% endfor %}",
    "{% set x = 1 %}{{ x }}",
    "{% macro f() %}{% endmacro %}",
    "{% include '/etc/passwd' %}",
    "{% filter upper %}a{% endfilter %}",
    "{{ " + "9" * 6000 + " }}",
    "{{ " + "(" * 4900 + "1" + ")" * 4900 + " }}",
    "{{ 1" + "+1" * 4000 + " }}",
    "{{ batch" + "[0]" * 3000 + " }}",
    "{{ big }}" * 1100,
    "{{ big ~ big ~ big ~ big ~ big }}",
    "{{ big | replace('a', big) }}",
)


@pytest.mark.parametrize("template", REFUSED_TEMPLATES, ids=range(len(REFUSED_TEMPLATES)))
def test_a_template_that_is_wrong_or_hostile_is_refused_and_costs_nothing(rule_file, template):
    path = rule_file(HEAD + f"description: '{template.replace(chr(39), chr(39) * 2)}'\n")
    start = time.process_time()
    (found,) = mistakes(load, path, batch="7", variables={"big": "a" * 90_000})
    assert found.startswith("4: ")
    assert len(found) < 400
    assert time.process_time() - start < 2


def test_many_templates_that_each_make_much_are_refused(rules):
    lines = "".join(f'      - "{{{{ big }}}}{n}"\n' for n in range(100))
    found = mistakes(rules, f"columns:\n  a:\n    in:\n{lines}", variables={"big": "a" * 90_000})
    assert any("the file's templates render to more than 5,000,000 characters" in message for message in found)


def test_templates_choose_and_cut(rules):
    body = """
        vars: {scale: "2.345"}
        description: "{% if batch == '2024-01-02' %}{{ batch[:4] }} {{ scale | float | round(1) }}{% else %}x{% endif %}"
        """
    assert rules(body, batch="2024-01-02").description == "2024 2.3"


def test_every_wrong_template_of_a_file_is_told(rules):
    found = mistakes(rules, 'description: "{{ a }}"\nowner: "{{ b }}"\n')
    assert [message[:3] for message in found] == ["4: ", "5: "]


def test_without_a_batch_what_depends_on_it_stays_a_template(rules):
    found = rules("rules: [{that: \"d = '{{ batch }}'\", tolerance: '{{ batch[8:] | int }}%'}]")
    assert found.rules[1].check.expressions() == ("d = '{{ batch }}'",)


# input

FORMATS = {
    "a.csv": "csv", "a.tsv.gz": "csv", "a.json": "json", "a.jsonl.bz2": "json", "a.ndjson": "json",
    "s3://b/p/*.parquet": "parquet", "a.snappy.orc": "orc", "dir.d/a.CSV": "csv",
}  # fmt: skip


@pytest.mark.parametrize(("path", "expected"), FORMATS.items())
def test_the_format_is_guessed_by_the_name(whole, path, expected):
    assert whole(f"version: 1\ndataset: a\ninput: {{path: '{path}'}}").input.format == expected


def test_the_options_of_a_reader_are_texts_as_spark_takes_them(rules):
    assert rules().input.options == {"header": "true"}


INPUT_MISTAKES = {
    "{path: data/orders}": "'format' of 'input' is needed, the path does not tell it; one of csv, json, parquet, orc",
    "{path: [a.csv, b.json]}": "'format' of 'input' is needed, the path does not tell it; one of csv, json, parquet, orc",
    "{path: a.csv, table: t}": "'input' has both 'path' and 'table'; one is enough",
    "{format: csv}": "'input' needs either 'path', 'table' or 'kafka'",
    "{path: []}": "'path' must be a path or a list of them, got an empty list",
    "orders.csv": "'input' must be a mapping such as {path: data/orders.csv}, got 'orders.csv'",
    "{path: a.csv, format: CSV}": "'format' of 'input' must be one of csv, json, parquet, orc, got 'CSV'",
    "{path: a.csv, where: a > 0}": "'where' of 'input' is for tables and typed formats",
    "{path: a.csv, timezone: Mars/Olympus}": "'timezone' must be a time zone such as UTC or Europe/Berlin, got 'Mars/Olympus'",
    "{path: a.csv, timezone: ../../etc/passwd}": "'timezone' must be a time zone",
    "{path: a.csv, allow_empty: 1}": "'allow_empty' must be true or false, got 1",
    "{path: a.csv, schema: {a: strin}}": "'schema' of 'input' of column 'a' is not a type: 'strin'; did you mean 'string'?",
    "{path: a.csv, options: [x]}": "'options' of 'input' must be a mapping, got a list",
    "{path: a.csv, paht: x}": "'paht' is not a key of 'input'; did you mean 'path'?",
    "{path: a.csv, options: {inferSchema: true}}": "option 'inferSchema' is not yours to set: types are declared, never inferred",
    "{path: a.csv, options: {MODE: DROPMALFORMED}}": "option 'MODE' is not yours to set: malformed lines are quarantined",
    "{path: a.csv, options: {columnPruning: true}}": "option 'columnPruning' is not yours to set",
}


@pytest.mark.parametrize(("section", "message"), INPUT_MISTAKES.items())
def test_a_wrong_input_is_told(whole, section, message):
    (found,) = mistakes(whole, f"version: 1\ndataset: a\ninput: {section}\n")
    assert found.startswith(f"3: {message}")


def test_an_input_given_from_outside_takes_the_place_of_the_files(whole):
    found = whole("version: 1\ndataset: a\ninput: {table: db.t}", input_path="x.json", root="there")
    assert (found.input.path, found.input.table, found.input.format, found.outputs.root) == (
        ("x.json",), "", "json", "there",
    )  # fmt: skip
    assert whole("version: 1\ndataset: a", input_path="x.csv").input.format == "csv"


def test_types_of_the_input_are_judged_by_rules_nobody_wrote(whole):
    found = whole(
        "version: 1\ndataset: a\ninput: {path: a.csv, schema: {a: integer, b: string}}\ncolumns: {c: {type: date}}"
    )
    assert [r.id for r in found.rules] == ["malformed", "c.type", "a.type"]
    assert found.declared_types == {"a": "int", "b": "string", "c": "date"}


# defaults, severity, on_fail, tolerance

EVERY_KIND = """
defaults: {tolerance: 5%, nulls: fail, nan: pass}
key: [a]
columns: {a: {required: true, unique: true, above: 0, type: integer}}
rules:
  - that: a > 0
  - row_count: {above: 0}
  - schema: true
"""


def test_a_default_tolerance_reaches_neither_keys_nor_required_nor_the_batch(rules):
    tolerant = {r.check.type for r in rules(EVERY_KIND).rules if r.tolerance}
    assert tolerant == {"above", "type", "that"}


def test_other_defaults_reach_rules_that_compare_values(rules):
    found = rules(EVERY_KIND).rules
    assert {r.check.type for r in found if r.nulls == Nulls.FAIL} == {"above", "type", "that"}
    assert {r.check.type for r in found if r.nan_passes} == {"above", "type", "that"}


def test_a_rule_says_otherwise_than_the_default(rules):
    found = rules(
        "defaults: {severity: warning, tolerance: 5%}\nrules: [{that: a > 0, severity: info, tolerance: 0}]"
    ).rules
    assert (found[1].severity, found[1].tolerance) == (Severity.INFO, Tolerance())


ON_FAIL = {
    ("that: a > 0", "error"): OnFail.QUARANTINE,
    ("that: a > 0", "warning"): OnFail.KEEP,
    ("that: a > 0", "info"): OnFail.KEEP,
    ("key: a", "error"): OnFail.QUARANTINE,
    ("key: a", "warning"): OnFail.KEEP,
    ("malformed: true", "warning"): OnFail.QUARANTINE,
    ("row_count: {above: 0}", "error"): OnFail.HOLD,
    ("row_count: {above: 0}", "warning"): OnFail.KEEP,
    ("schema: true", "error"): OnFail.HOLD,
    ("schema: true", "info"): OnFail.KEEP,
}


@pytest.mark.parametrize(("case", "expected"), ON_FAIL.items())
def test_severity_chooses_what_failing_does_unless_it_is_said(rules, case, expected):
    body, severity = case
    assert rules(f"rules: [{{{body}, severity: {severity}}}]").rules[-1].on_fail == expected
    assert rules(f"rules: [{{{body}, severity: {severity}, on_fail: hold}}]").rules[-1].on_fail == OnFail.HOLD


TOLERANCES = {
    "0": Tolerance(),
    "1%": Tolerance(0.01),
    "0.7%": Tolerance(0.007),
    "0.01": Tolerance(0.01),
    "100%": Tolerance(1.0),
    "10 rows": Tolerance(rows=10),
    "1 row": Tolerance(rows=1),
    "'1,000 rows'": Tolerance(rows=1000),
    "{ratio: 0.5%, rows: 10}": Tolerance(0.005, 10),
    "{rows: 3}": Tolerance(rows=3),
}


@pytest.mark.parametrize(("text", "expected"), TOLERANCES.items())
def test_a_tolerance_is_a_share_or_a_number_of_rows(rule, text, expected):
    assert rule(f"rules: [{{that: a > 0, tolerance: {text}}}]").tolerance == expected


@pytest.mark.parametrize(
    "text",
    ("98", "1", "-0.1", "101%", "many", "true", "-5 rows", "{rows: 1.5}", "{row: 1}", "{ratio: 1}", "[1]", ".nan"),
)
def test_a_tolerance_that_can_be_misread_is_refused(rules, text):
    (found,) = mistakes(rules, f"rules: [{{that: a > 0, tolerance: {text}}}]")
    assert found.startswith("4: 'tolerance' of 'that' ")


# expand

TEMPLATED = """\
version: 1
dataset: "or{{ suffix }}"
description: "it's: odd"
vars: {suffix: ders, day: "d{{ batch }}", limit: 5, place: "{{ env('QUALITY_ROOT', 'x') }}"}
input: {path: "in/{{ day }}.csv", schema: {e: 'decimal(10,2)'}, options: {sep: ";", nullValue: "1e3"}}
defaults: {severity: warning, tolerance: 1%}
key: [a, "b, c"]
columns:
  a: {type: string, above: "{{ limit }}", in: [1, 0o17, '0o17', '1e3', 'NO', 2.5, true, 'true', 1e30]}
  d: {between: ["{{ day }}", "9999"], description: x}
  f:
rules:
  - {name: "{{ suffix }} rule", that: "x > '{{ day }}'", where: "y < '{{ batch }}'", tags: [t], owner: me}
  - {id: exact, values: {column: a, at_least: 12345678901234567.89, below: .inf}}
  - {min: {column: d, at_least: "{{ batch }}"}, severity: error}
  - schema: {declared: {z: integer, a: date}, order: fail}
  - {name: nulls, matches: {column: d, pattern: '\\d+\\.'}, nulls: skip, tolerance: {ratio: 0.123456789, rows: 3}}
hold: {quarantined_above: "{{ limit }}%"}
outputs: {root: "{{ place }}", flags: true}
"""


@pytest.mark.parametrize("text", (TEMPLATED, BASE))
def test_the_expanded_file_is_a_rule_file_of_the_same_fingerprint(rule_file, text):
    report = lint(str(rule_file(text)))
    assert report.problems == ()
    again = rule_file(expanded(report), "expanded.yml")
    for batch in (None, "2024-01-02"):
        one, other = load(rule_file(text), batch=batch), load(again, batch=batch)
        assert other.fingerprint == one.fingerprint
        assert [(r.id, r.check, r.where, r.tolerance, r.severity, r.on_fail, r.metadata) for r in other.rules] == [
            (r.id, r.check, r.where, r.tolerance, r.severity, r.on_fail, r.metadata) for r in one.rules
        ]
        assert (other.input, other.outputs, other.columns, other.quarantined_above, other.vars) == (
            one.input, one.outputs, one.columns, one.quarantined_above, one.vars,
        )  # fmt: skip


def test_an_expanded_file_that_extended_another_stands_by_itself(files, tmp_path, rule_file):
    known = files(child="extends: parent.yml\nrules: [{name: c, that: c > 0}]", parent=PARENT)
    text = expanded(lint(str(tmp_path / "child.yml")))
    assert "extends" not in text
    assert load(rule_file(text, "alone.yml")).fingerprint == known.fingerprint


def test_optional_arguments_do_not_stand_in_for_one_that_is_missing(rule_file):
    text = "version: 1\ndataset: d\ninput: {path: x.parquet}\nrules:\n  - compare: {at_least: a, below: b}\n"
    (problem,) = lint(str(rule_file(text))).problems
    assert problem.message.startswith("'compare' needs 'column': the column that is compared")


def test_a_share_is_bounded_by_numbers_or_percentages_and_a_quantile_is_of_either(rules):
    read = rules("""
    rules:
    - {completeness: {column: a, at_least: 98%}, id: one}
    - {compliance: {that: a > 0, between: [7%, "0.5"]}, id: two}
    - {distinctness: {columns: a, within: 10% of 0.97}, id: three}
    - {uniqueness: {columns: a, at_most: max(last 3)}, id: four}
    - {quantile: {column: a, q: 99.5%, at_most: 1}, id: five}
    """).rules
    found = {rule.id: rule.check for rule in read}
    assert [found[id].bounds.terms for id in ("one", "two")] == [
        (("at_least", 0.98),),
        (("at_least", 0.07), ("at_most", 0.5)),
    ]
    assert (found["three"].bounds.accepts(1.0), bool(found["four"].bounds.past), found["five"].q) == (True, True, 0.995)
