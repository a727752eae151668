"""`quality test --mutate`: planted rules catch the faults they must, and no others."""

from __future__ import annotations

import json

import pytest

from quality import cli
from quality.errors import InputError, UsageError
from quality.mutation import mutate
from quality.report.mutation import render

ROWS = 60
RULES = """version: 1
dataset: orders
input: {path: "DATA", format: csv, options: {header: true}, timezone: Europe/Berlin}
columns:
  id: {type: bigint, required: true, unique: true}
  amount: {type: "decimal(10,2)", between: [10, 99]}
  at: {type: timestamp}
  country: {in: [SE, "NO", DK]}
  note: {}
rules:
  - completeness: {column: note, at_least: 0.5}
  - row_count: {at_least: 31}
  - row_count: {at_least: 1000}
    name: as many as never
  - sum: {column: amount, within: 10% of last}
  - that: amount >= 10
    where: country = 'FI'
    name: finland
outputs: {root: "ROOT"}
"""
#: By column and fault the rules that must fail; the others are caught by none.
CAUGHT = {
    ("id", "null"): {"id.required"},
    ("id", "null in every row"): {"id.required"},
    # all of them have one value
    ("id", "sentinel -99"): {"id.unique"},
    ("id", "not of the type"): {"id.type", "id.required"},
    ("id", "changed places with amount"): {"id.type", "id.required", "amount.between"},
    ("amount", "sentinel -99"): {"amount.between"},
    ("amount", "x 100"): {"amount.between"},
    ("amount", "x 1000"): {"amount.between"},
    ("amount", "/ 1000"): {"amount.between"},
    ("amount", "sign"): {"amount.between"},
    ("amount", "not of the type"): {"amount.type"},
    ("at", "not of the type"): {"at.type"},
    ("country", "blank"): {"country.in"},
    ("country", "sentinel N/A"): {"country.in"},
    ("country", "typo"): {"country.in"},
    ("country", "case"): {"country.in"},
    ("country", "new category"): {"country.in"},
    ("country", "changed places with note"): {"country.in"},
    ("note", "null in every row"): {"note.completeness"},
    ("(batch)", "duplicates"): {"id.unique"},
    ("(batch)", "truncated"): {"row_count"},
}
NOT_CAUGHT = {
    *(("amount", fault) for fault in ("null", "null in every row")),
    *(("at", fault) for fault in ("null", "null in every row", "sentinel 1900-01-01", "a year older in every row", "a year in the future")),
    *(("country", fault) for fault in ("null", "null in every row")),
    *(("note", fault) for fault in ("null", "blank", "sentinel N/A", "typo", "case")),
}  # fmt: skip


def written(folder, rows=ROWS):
    # 40.5 x 1000 and id 4 x 10.0 are no whole numbers: a swap breaks the type
    lines = [f"{n},{10 + n}.55,2024-01-02 10:{n % 60:02}:00,{('SE', 'NO', 'DK')[n % 3]},note {n}" for n in range(rows)]
    (folder / "a.csv").write_text("\n".join(["id,amount,at,country,note", *lines]) + "\n", encoding="utf-8")
    path = folder / "orders.yml"
    text = RULES.replace("DATA", str(folder / "a.csv")).replace("ROOT", str(folder / "out"))
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def mutated(quick, tmp_path_factory):
    folder = tmp_path_factory.mktemp("mutation")
    return mutate(written(folder), "2024-01-02", spark=quick), folder


def test_the_rules_catch_what_they_must_and_nothing_else(mutated):
    found, _ = mutated
    told = {(one.mutant.column, one.mutant.fault): set(one.caught_by) for one in found.told}
    assert {key: rules for key, rules in told.items() if rules} == CAUGHT
    assert {key for key, rules in told.items() if not rules} == NOT_CAUGHT
    assert (found.caught, found.exit_code, found.rows, found.whole) == (len(CAUGHT), 1, ROWS, True)


def test_a_fault_is_in_its_share_of_the_rows(mutated):
    found, _ = mutated
    rows = {(one.mutant.column, one.mutant.fault): one.rows for one in found.told}
    assert {
        rows[key] for key in rows if key[0] in ("amount", "note") and "every" not in key[1] and "places" not in key[1]
    } == {3}
    assert rows["amount", "null in every row"] == ROWS
    # the rows that are there twice, and what is gone
    assert (rows["(batch)", "duplicates"], rows["(batch)", "truncated"]) == (6, 30)


def test_rules_that_could_not_be_judged_are_named_with_the_reason_and_nothing_is_written(mutated):
    found, folder = mutated
    whys = dict(found.not_judged)
    assert whys.keys() == {"as-many-as-never", "amount.sum", "finland"}
    assert whys["as-many-as-never"].startswith("fails without a fault: ")
    assert whys["amount.sum"].startswith("does not apply: ")
    assert whys["finland"] == "does not apply: no row in scope"
    assert not (folder / "out").exists()


def small(folder, rows=40):
    (folder / "a.csv").write_text("\n".join(["n", *map(str, range(rows))]) + "\n", encoding="utf-8")
    path = folder / "n.yml"
    head = f"version: 1\ndataset: n\ninput: {{path: '{folder / 'a.csv'}', options: {{header: true}}}}\noutputs: {{root: '{folder / 'out'}'}}\n"
    path.write_text(
        head + "columns: {n: {type: int, below: 1000}}\nrules:\n  - row_count: {at_least: 40}\n", encoding="utf-8"
    )
    return path


def test_a_sample_is_drawn_by_its_seed(quick, tmp_path):
    how = {"rows": 20, "share": 0.1, "spark": quick}
    first, again = (mutate(small(tmp_path), "b", **how).to_dict() for _ in range(2))
    assert first == again
    assert (first["rows"], first["sample"]) == (20, True)
    assert [one["rule"] for one in first["rules_not_judged"]] == ["row_count"]
    assert next(one["rows"] for one in first["results"] if one["fault"] == "null") == 2


def test_the_command_prints_json_and_ends_with_1(quick, tmp_path, capsys):
    assert cli.run_command(["test", str(small(tmp_path)), "--mutate", "--batch", "b", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["schema"], found["faults"]) == ("quality.mutation/1", sum(one["faults"] for one in found["columns"]))
    assert found["columns"][-1] == {
        "column": "(batch)",
        "faults": 2,
        "caught": 1,
        "rate": 0.5,
        "not_caught": ["duplicates"],
    }


def test_a_person_reads_a_line_for_each_column(mutated):
    found, folder = mutated
    out = render(found.to_dict()).splitlines()
    assert out[0].split() == ["column", "caught", "not", "caught"]
    assert out[2].split(maxsplit=4) == ["amount", "6", "of", "8", "null, null in every row"]
    assert "not judged: finland: does not apply: no row in scope" in out
    whole = f"{len(CAUGHT)} of {len(CAUGHT) + len(NOT_CAUGHT)} faults are caught"
    assert out[-1].startswith(f"✗ {folder / 'orders.yml'}: {whole} (")
    assert "amount, x 100 (3 rows): amount.between" in render(found.to_dict(), verbose=True).splitlines()


def test_a_typed_batch_keeps_its_types_and_its_nested_columns(quick, tmp_path):
    frame = quick.sql("select id, 'x' as s, map(1, 2) as m, array(1) as a, date'2024-01-01' as d from range(20)")
    frame.coalesce(1).write.parquet(str(tmp_path / "in.parquet"))
    quick.sql("select 'x' as s").write.parquet(str(tmp_path / "known.parquet"))
    path = tmp_path / "t.yml"
    # what a caller says of a reference holds
    rules = "references: {known: {path: 'nowhere.parquet'}}\nrules:\n  - exists_in: {column: s, reference: known}\n"
    rules += "  - required: {column: m}\n  - equals: {column: d, value: '2024-01-01'}\n  - between: {column: id, range: [0, 99]}\n"
    path.write_text(
        f"version: 1\ndataset: t\ninput: {{path: '{tmp_path / 'in.parquet'}'}}\noutputs: {{root: '{tmp_path / 'out'}'}}\n{rules}",
        encoding="utf-8",
    )
    found = mutate(path, "b", spark=quick, references={"known": str(tmp_path / "known.parquet")})
    told = {(one.mutant.column, one.mutant.fault): set(one.caught_by) for one in found.told}
    assert {key for key, rules in told.items() if rules == {"m.required"}} == {
        ("m", "null"),
        ("m", "null in every row"),
    }
    assert {fault for (column, fault), rules in told.items() if column == "d" and rules == {"d.equals"}} == {
        "sentinel 1900-01-01", "a year older in every row", "a year in the future",
    }  # fmt: skip
    assert told["id", "x 1000"] == told["id", "sentinel -99"] == {"id.between"}
    assert told["a", "null"] == told["s", "null"] == set()
    assert told["s", "typo"] == told["s", "blank"] == {"s.exists_in"}


@pytest.mark.parametrize(
    ("rows", "how", "error", "message"),
    (
        (0, {}, InputError, "no row"),
        (1, {"share": 0}, UsageError, "share of rows"),
        (1, {"rows": 0}, UsageError, "at least 1"),
    ),
)
def test_what_cannot_be_done_is_said(quick, tmp_path, rows, how, error, message):
    with pytest.raises(error, match=message):
        mutate(written(tmp_path, rows), "2024-01-02", spark=quick, **how)


EXAMPLES = """version: 1
dataset: orders
input: {path: nowhere.csv, options: {header: true}}
columns:
  id: {type: integer, required: true, unique: true}
  amount: {type: "decimal(10,2)"}
  country: {in: [SE, "NO", DK]}
rules:
  - above: {column: amount, value: 0}
    examples: {pass: [{amount: 0.01}, {amount: 12.5}, {amount: 99}], fail: [{amount: 0}]}
  - that: "country <> 'SE' or amount < 50"
    name: cheap in Sweden
    examples: {pass: [{country: SE, amount: 12.5}, {country: DK, amount: 99}, {country: "NO"}, {country: XX}]}
  - required: id
    name: numbered
    examples: {pass: [{id: 1}, {id: 2}, {id: 3}, {id: 4}, {id: 5}, {id: 6}, {id: 7}]}
outputs: {root: "ROOT"}
"""


def test_without_a_batch_one_is_made_of_the_examples(quick, tmp_path, capsys, monkeypatch):
    path = tmp_path / "orders.yml"
    path.write_text(EXAMPLES.replace("ROOT", str(tmp_path / "out")), encoding="utf-8")
    found = mutate(path, spark=quick)
    # one row of each id, none with the country that another rule refuses
    assert (found.rows, found.whole, found.not_judged) == (7, True, ())
    told = {(one.mutant.column, one.mutant.fault): set(one.caught_by) for one in found.told}
    assert told["id", "null"] == {"id.required", "numbered"}
    assert told["amount", "sign"] == {"amount.above"}
    assert told["country", "typo"] == {"country.in"}
    assert told["(batch)", "duplicates"] == {"id.unique"}
    assert "; batch of the examples, 7 rows, 5% of them with a fault" in render(found.to_dict())
    path.write_text(EXAMPLES.replace("{id: 5}, {id: 6}, {id: 7}", "{id: 4}"), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="make 4 rows that no rule fails; at least 5 would do"):
        mutate(path, spark=quick)
