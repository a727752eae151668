"""A file of another language as a rule file that lints."""

from quality.rulefile import load
from quality.rulefile.dqdl.convert import convert_file
from quality.rulefile.lint import lint


def imported(path, **given):
    """The rule set that a file becomes, which lints without a warning, and what the conversion reports."""
    found = convert_file(path, input_path="a.parquet", **given)
    out = path.parent / "out.yml"
    out.write_text(found.text, encoding="utf-8")
    report = lint(str(out))
    assert (report.problems, report.warnings) == ((), ()), found.text
    return load(out), found


def said(rule_set):
    """The rules as they would be written, without their ids and what goes without saying."""
    usual = {"severity": ("error",), "on_fail": ("quarantine", "hold")}
    return [
        {word: value for word, value in rule.canonical.items() if word != "id" and value not in usual.get(word, ())}
        for rule in rule_set.rules
    ]
