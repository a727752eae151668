"""Values of sensitive columns are in the rows alone: planted ones are looked for in everything else that is left or said."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import re
from functools import partial

import pyarrow.parquet as pq
import pytest

from quality import cli
from quality.backends.session import session
from quality.redrive import redrive
from quality.report import junit, terminal
from quality.rows import hiding
from quality.sensitive import Hiding, Sensitive, hidden, pads
from tests.written import Place

CSV = "options: {header: true}"
#: Each is there once but for the doubled one; texts are found in any case and cut, numbers with or without separators.
EMAILS = ("qzvaone@example.org", "qzvatwo", "qzvathree@example.org", "qzvadouble@example.org", "qzvafive@example.org")
WAGES = ("7310417", "7320428", "qzvawage", "-7340440", "7350451")
TOP = """\
columns:
  id: {type: integer, required: true}
  email: {sensitive: HOW, unique: true, length: {at_most: 200}, contains_match: {pattern: '@', severity: warning}}
  wage: {sensitive: true, type: integer, at_least: 0}
  day: {type: date}
profile: true
anomalies: {}
outputs: {root: "ROOT", flags: true}"""
RULES = """\
- min: {column: wage, at_least: 100000000}
- max: {column: wage, at_most: 5}
- quantile: {column: wage, q: 0.5, at_most: 5}
- mean: {column: wage, at_most: 5}
- {name: few, mean: {column: wage, at_most: 6}, where: id = 1}
- {name: several, all_or_none_of: {columns: [email, wage]}, severity: info}
- {name: composed, not: [{at_least: {column: wage, value: 0}}], severity: info}"""


def lines() -> str:
    own = zip(EMAILS, WAGES, strict=True)
    rows = [f"{n},{email},{wage},2024-01-0{n}" for n, (email, wage) in enumerate(own, 1)]
    rows += [f"6,{EMAILS[3]},12,2024-01-06", "7,qzvabroken@example.org", "8,calm@example.com,17,qzvaday"]
    rows += [f"{n},calm{n}@example.com,{n},2024-01-09" for n in range(10, 20)]
    return "\n".join(["id,email,wage,day", *rows, ""])


# Also a wage in groups or as a power of ten; fewer digits would be found in hashes and in the seconds a run took.
PLANTED = re.compile(
    r"qzva(one|two|three|double|five|wage|broken)|7[,.]?3[1245]0[,.]?4(17|28|40|51)|7\.3[1245]\d*\s*(e[+\d]|m\b|million)",
    re.IGNORECASE,
)


@pytest.fixture
def place(spark, tmp_path, monkeypatch):
    alone = partial(session, spark)
    for module in ("backends.session", "runs", "redrive", "profiling"):
        monkeypatch.setattr(f"quality.{module}.session", lambda *_given, **_more: alone())
    return Place(tmp_path, spark)


def command(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        cli.main([*words])
    return int(ended.value.code or 0)


def left(place: Place) -> dict[str, str]:
    """All that lies under the root less the rows, by file: texts as they are, Parquet as its values, sketches included."""
    found = {}
    for path in sorted(place.root.rglob("*")):
        name = str(path.relative_to(place.root))
        if path.is_dir() or path.suffix == ".crc":
            continue
        if path.suffix != ".parquet":
            found[name] = path.read_text(encoding="utf-8", errors="replace")
        elif name.startswith("history/"):
            found[name] = "\n".join(
                str({**row, "sketch": bytes((row.get("sketch") or {}).get("bytes") or b"").decode("utf-8", "replace")})
                for row in pq.read_table(path, partitioning=None).to_pylist()
            )
        elif not name.startswith("passed/"):
            # of a quarantined or flagged row what we say of it
            rows = pq.read_table(path, partitioning=None).to_pylist()
            found[name] = "\n".join(str(row.get("_quality", {"state": row.get("state")})) for row in rows)
    return found


@pytest.mark.parametrize("how", ("true", "hash"))
def test_no_planted_value_is_in_anything_but_the_rows(place, how, monkeypatch, caplog, capsys):
    caplog.set_level(logging.DEBUG, logger="quality")
    monkeypatch.setenv("QUALITY_SENSITIVE_KEY", "a key")
    place.put({"a.csv": lines()})
    top = TOP.replace("HOW", how).replace("ROOT", str(place.root))
    rules = place.rules(RULES, input=CSV, top=top + "\nhold: {quarantined_above: 100%}")
    words = []
    place_of = str(place.root)
    assert command("run", str(rules), "--batch", "b", "--json") in (1, 4)
    command("plan", str(rules), "--batch", "b")
    command("profile", str(place.directory / "in/a.csv"), "--rules", str(rules))
    command("profile", str(place.directory / "in/a.csv"), "--rules", str(rules), "--json")
    page = place.root / "profile.html"
    assert command("profile", str(place.directory / "in/a.csv"), "--rules", str(rules), "--html", str(page)) == 0
    assert "sensitive: values are" in page.read_text()
    result = json.loads((place.root / place.record()["result"]).read_text())
    words += [terminal.render(result, verbose=True), junit.render([result])]
    statuses = {rule["id"]: rule["status"] for rule in result["rules"]}
    assert statuses["wage.min"] == statuses["few"] == "failed"
    assert {r["id"]: r["message"] for r in result["rules"]}[
        "wage.min"
    ] == "Minimum of 'wage' is ***, must be >= 100,000,000"
    command("publish", str(rules), "--batch", "b", "--reason", "test")
    for looks in (["show", "--state", "all"], ["show", "--json"], ["stats"], ["stats", "--json"], ["list"]):
        command("quarantine", looks[0], "d", "--root", place_of, *looks[1:])
    exported = place.directory / "rows.csv"
    command("quarantine", "show", str(rules), "--csv", str(exported))
    (done,) = redrive(rules, spark=place.spark)
    words += [done.message, exported.read_text()]
    said = capsys.readouterr()
    texts = {**left(place), "out": said.out, "err": said.err, "log": caplog.text, "words": "\n".join(words)}
    assert {name: found[0] for name, text in texts.items() if (found := PLANTED.search(text))} == {}
    # what is not sensitive is told, and the rows keep everything
    assert "qzvaday" in said.out
    kept = {row["id"]: row for side in ("passed", "quarantine") for row in place.rows(side)}
    assert (kept[3]["email"], kept[4]["wage"]) == (EMAILS[2], int(WAGES[3]))
    assert exported.read_text().splitlines()[0] == "row_id,_rules,id,day"
    reasons = [f for row in place.rows("quarantine") if row["id"] == 4 for f in row["_quality"]["failures"]]
    hashed = "hmac:" + hmac.new(b"a key", EMAILS[3].encode(), hashlib.sha256).hexdigest()[:32]
    shown = hashed if how == "hash" else "***"
    assert [(f["rule"], f["value"]) for f in reasons] == [("email.unique", shown), ("wage.at_least", "***")]
    command("quarantine", "show", "d", "--root", place_of, "--reveal")
    assert EMAILS[3] in capsys.readouterr().out


def test_a_hash_without_a_key_is_a_mask_and_hidden_rows_are_redriven(place, monkeypatch):
    monkeypatch.delenv("QUALITY_SENSITIVE_KEY", raising=False)
    place.put({"a.csv": "id,wage\n1,-5\n2,x\n3,4\n"})
    top = "columns: {id: {type: integer}, wage: {type: integer, sensitive: hash, at_least: %d}}"
    place.run(input=CSV, top=top % 0)
    values = {row["id"]: [f["value"] for f in row["_quality"]["failures"]] for row in place.rows("quarantine")}
    assert values == {1: ["***"], 2: ["***"]}
    # the value that is hidden in the reason is the one that is judged again, and the mask is no value
    (done,) = redrive(place.rules(input=CSV, top=top % -9), spark=place.spark)
    assert (dict(done.back), dict(done.remaining)) == ({"redriven": 1}, {"wage.type": 1})
    assert place.passed("id", "wage") == [(1, -5), (3, 4)]


def test_what_spark_says_of_a_rule_that_throws_is_withheld(place):
    place.put({"a.csv": "id,email\n1,qzvafive\n2,calm\n"})
    throws = (
        """- {name: throws, that: "cast(if(email like '%five%', assert_true(false, email), 1) as int) is not null"}"""
    )
    result = place.run(throws, input=CSV, top="columns: {email: {sensitive: true}}")
    said = result.rule("throws")["message"]
    assert said.startswith("could not tell: ")
    assert "withheld" in said
    assert {name for name, text in left(place).items() if PLANTED.search(text)} == set()


def test_the_key_is_in_no_plan(quick, monkeypatch):
    monkeypatch.setenv("QUALITY_SENSITIVE_KEY", "a key of its own")
    sensitive = Sensitive((("id", Hiding.HASH),))
    hashed = hiding(quick.range(3), sensitive)
    assert sorted(row.id for row in hashed.collect()) == sorted(hidden(str(n), Hiding.HASH) or "" for n in range(3))
    plan = hashed._jdf.queryExecution().toString()
    inner, outer = pads()
    assert "hmac:" in plan
    assert not [
        text
        for text in ("a key of its own", inner.hex(), outer.hex(), str(inner), str(outer))
        if text.lower() in plan.lower()
    ]
