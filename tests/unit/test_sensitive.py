"""What is sensitive, and what stands in its place."""

from __future__ import annotations

import hashlib
import hmac

import pytest

from quality.errors import RuleFileError
from quality.model import Metric, MetricKey
from quality.rulefile import load
from quality.sensitive import Hiding, Sensitive, hidden, is_hidden, pads, tells

HEAD = "version: 1\ndataset: d\ninput: {path: a.csv}\nrules: [{row_count: {at_least: 1}}]\n"


@pytest.fixture
def read(tmp_path):
    def loaded(text: str):
        file = tmp_path / "rules.yml"
        file.write_text(HEAD + text)
        return load(file)

    return loaded


def test_columns_are_marked_where_they_are_described(read):
    found = read(
        "columns: {a: {sensitive: true}, b: {sensitive: hash, type: integer}, c: {sensitive: false}, d: }"
    ).sensitive
    assert found.to_dict() == {"a": "mask", "b": "hash"}
    assert Sensitive.of(found.to_dict()) == found


def test_marking_is_no_rule_and_changes_no_fingerprint(read):
    plain, marked = read("columns: {a: {type: integer}}"), read("columns: {a: {type: integer, sensitive: true}}")
    assert [rule.id for rule in plain.rules] == [rule.id for rule in marked.rules]
    assert plain.fingerprint == marked.fingerprint


@pytest.mark.parametrize("value", ("yes", "encrypt", "1", "[a]"))
def test_another_word_is_a_mistake(read, value):
    with pytest.raises(
        RuleFileError, match=r"rules.yml:5: 'sensitive' of column 'a' must be true, false, mask or hash, got"
    ):
        read(f"columns: {{a: {{sensitive: {value}}}}}")


def test_a_key_of_kms_needs_a_bucket(read):
    message = r"rules.yml:5: 'quarantine_kms_key' is a key of AWS KMS, for a root in S3, and the root is kept"
    with pytest.raises(RuleFileError, match=message):
        read("outputs: {root: kept, quarantine_kms_key: k}")
    assert read("outputs: {root: 's3://b/kept', quarantine_kms_key: k}").outputs.quarantine_kms_key == "k"


@pytest.mark.parametrize(
    ("name", "how"),
    (
        ("email", Hiding.MASK), ("EMAIL", Hiding.MASK), ("email.host", Hiding.MASK), ("person", Hiding.MASK),
        ("person.name", Hiding.MASK), ("person.age", None), ("mail", None), ("emails", None),
    ),
)  # fmt: skip
def test_names_compare_without_case_and_through_structs(name, how):
    assert Sensitive((("Email", Hiding.MASK), ("person.name", Hiding.MASK))).how(name) == how


def test_a_hash_is_hmac_by_the_key_of_the_environment_and_a_mask_without(monkeypatch):
    monkeypatch.delenv("QUALITY_SENSITIVE_KEY", raising=False)
    assert [hidden("a", Hiding.HASH), hidden("a", Hiding.MASK), hidden(None, Hiding.HASH)] == ["***", "***", None]
    for key in ("k", "long" * 30):
        monkeypatch.setenv("QUALITY_SENSITIVE_KEY", key)
        wanted = hmac.new(key.encode(), "é".encode(), hashlib.sha256).hexdigest()
        assert hidden("é", Hiding.HASH) == f"hmac:{wanted[:32]}"
        assert hidden("é", Hiding.MASK) == "***"
        assert is_hidden(hidden("é", Hiding.HASH))
        # by the definition of HMAC, as SQL computes it
        inner, outer = pads()
        assert hashlib.sha256(outer + hashlib.sha256(inner + "é".encode()).digest()).hexdigest() == wanted


@pytest.mark.parametrize(
    ("name", "values", "secret"),
    (("Minimum", 10**6, True), ("ExactQuantile", 10**6, True), ("Mean", 4, True), ("Mean", 5, False),
     ("Completeness", 1, False), ("MaxLength", 1, False), ("Uniqueness", 1, False)),
)  # fmt: skip
def test_metrics_that_are_values_of_their_column_are_told_from_others(name, values, secret):
    metric = Metric(MetricKey("Column", name, "wage"), 1.0)
    hiding = Sensitive((("wage", Hiding.MASK),))
    assert tells(metric, ("wage",), hiding, values) is secret
    assert not tells(metric, ("other",), hiding, values)


def test_a_misspelt_column_is_told():
    marked = Sensitive((("emial", Hiding.MASK), ("Person.name", Hiding.MASK), ("Id", Hiding.HASH)))
    assert marked.missing(["email", "person", "id"]) == ["emial"]
