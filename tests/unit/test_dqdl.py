"""DQDL: what is read, what is refused and how it is told, and that what is printed reads back as the same."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quality.errors import RuleFileError
from quality.rulefile import dqdl
from quality.rulefile.dqdl import parse, parse_all
from quality.rulefile.dqdl.printer import expression, format_rule, quoted
from quality.rulefile.dqdl.resolve import resolved
from quality.rulefile.dqdl.signatures import ANALYZERS, TAGS, TYPES
from quality.rulefile.dqdl.tree import (
    Between,
    Binding,
    Call,
    Comparison,
    Composite,
    Constant,
    Document,
    Entry,
    Label,
    Matches,
    Membership,
    Negative,
    Number,
    Operation,
    Parameter,
    Position,
    Quantity,
    Rule,
    Tag,
    Text,
    Variable,
    Word,
)


def one(text):
    """The only rule of a document."""
    (rule,) = parse(f"Rules = [ {text} ]").rules or ()
    return rule


def mistakes(text):
    """What is told of a document: line and message."""
    return [f"{problem.line}: {problem.message}" for problem in parse_all(text, "a.dqdl")[1]]


def told(rule):
    """What is told of one rule."""
    return [message.partition(": ")[2] for message in mistakes(f"Rules = [ {rule} ]")]


# rule types

FORMS = {
    "AggregateMatch": (
        'AggregateMatch "sum(colA)" "sum(reference.colA)" >= 0.95',
        'AggregateMatch "avg(a)" "avg(b)" = 1',
    ),
    "ColumnCorrelation": ('ColumnCorrelation "a" "b" between 0.4 and 0.8 where "c > 0"',),
    "ColumnCount": ("ColumnCount = 10", "ColumnCount >= min(last(3))"),
    "ColumnDataType": (
        'ColumnDataType "c" = "Integer" with threshold > 0.9',
        'ColumnDataType "c" != "String"',
        'ColumnDataType "c" in ["Date", "String"]',
        'ColumnDataType "c" = "Date" with format = "MM/dd/yyyy"',
        'ColumnDataType "c" = "DECIMAL(10,2)" with threshold > avg(last(3))',
    ),
    "ColumnExists": ('ColumnExists "c"',),
    "ColumnLength": (
        'ColumnLength "c" between 1 and 5',
        'ColumnLength "c" >= 4 where "a = 1"',
        'ColumnLength "c" in [0, 5]',
    ),
    "ColumnNamesMatchPattern": ('ColumnNamesMatchPattern "aws_.*_[a-z]+"',),
    "ColumnValues": (
        'ColumnValues "c" > 0',
        'ColumnValues "c" between 18 and 65',
        'ColumnValues "c" not between -18.5 and .5',
        'ColumnValues "c" in ["a", "b", NULL, EMPTY, WHITESPACES_ONLY]',
        'ColumnValues "c" not in [1, 2, NULL]',
        'ColumnValues "c" = NULL',
        'ColumnValues "c" != EMPTY',
        'ColumnValues "c" matches "[a-z]*"',
        'ColumnValues "c" not matches "\\d+"',
        'ColumnValues "c" > (now() - 1 days)',
        'ColumnValues "c" between (now() - 2 hours) and now()',
        'ColumnValues "c" = "2022-01-01"',
        'ColumnValues "c" >= "2022-01-01"',
        'ColumnValues "c" between "2022-01-01" and "2022-12-31"',
        'ColumnValues "c" < "9:30 AM"',
        'ColumnValues "c" in ["a"] with threshold > 0.98',
        'ColumnValues "c" in ["a"] where "d > 0" with ignoreCase = "true"',
    ),
    "Completeness": (
        'Completeness "c" > 0.95',
        'Completeness of "c" between 0.8 and 1 where "a > 1"',
        "Completeness c = 1",
    ),
    "CustomSql": (
        'CustomSql "select count(*) from primary" > 0',
        'CustomSql "select id from primary where age < 100"',
        'CustomSql "select id from primary" with threshold > 0.5',
        'CustomSql "select \\"a b\\" from primary" between 0 and 100',
    ),
    "DataFreshness": (
        'DataFreshness "ts" <= 24 hours',
        'DataFreshness "ts" between 2 days and 4 days',
        'DataFreshness "ts" not between 90 minutes and 1 day',
    ),
    "DatasetMatch": (
        'DatasetMatch "reference" "ID1,ID2" = 0.99',
        'DatasetMatch "reference" "ID1->ID11" "colA->colAA" = 1',
    ),
    "DetectAnomalies": (
        'DetectAnomalies "RowCount"',
        'DetectAnomalies "ColumnLength" "id"',
        'DetectAnomalies of Completeness of "c"',
        'DetectAnomalies "ColumnCorrelation" "a" and "b"',
    ),
    "DistinctValuesCount": ('DistinctValuesCount "c" between 10 and 30', 'DistinctValuesCount "c" > last()'),
    "Entropy": ('Entropy "c" <= 10.0',),
    "FileFreshness": (
        'FileFreshness "s3://b/p/" > (now() - 24 hours)',
        'FileFreshness "s3://b/" between "9:30 AM" and "22:15" with timeZone = "America/New_York"',
        'FileFreshness > "2020-01-01" with threshold > 0.5 with recentFiles = 1 with failFast = "true"',
    ),
    "FileMatch": (
        'FileMatch "s3://a/" "s3://b/" with matchFileName = "true" with dataFrame = "true"',
        'FileMatch "s3://a/f.json" in ["0f"] with hashAlgorithm = "MD5"',
        'FileMatch in ["0f"]',
    ),
    "FileSize": (
        'FileSize "s3://b/" between 2 GB and 1 TB with threshold > 0.7',
        'FileSize < 10 MB with uriRegex = "\\.csv$" with filterOrder = ["uriRegex", "recentFiles"]',
        "FileSize > 5 B",
    ),
    "FileUniqueness": ('FileUniqueness "s3://b/" > 0.5', "FileUniqueness = 1"),
    "IsComplete": ('IsComplete "c"', "IsComplete c", 'IsComplete "c" where "a > 1"'),
    "IsPrimaryKey": ('IsPrimaryKey "a" "b"', 'IsPrimaryKey a "b"'),
    "IsUnique": ('IsUnique "a"', 'IsUnique "a" "b" where "c = 1"'),
    "Mean": ('Mean "c" between 10 and 20', 'Mean "c" between min(last(5)) - 1 and max(last(5)) + 1'),
    "ReferentialIntegrity": (
        'ReferentialIntegrity "a" "ref.x" = 1.0',
        'ReferentialIntegrity "a,b" "ref.{x,y}" >= 0.99',
    ),
    "RowCount": (
        "RowCount > 100",
        "RowCount > avg(last(5)) * 0.8",
        "RowCount between (0.9 * avg(last(10))) and (1.1 * avg(last(10)))",
        "RowCount >= index(last(3), 0)",
        "RowCount < percentile(last(10), 0.9)",
        "RowCount != abs(std(last(4)) - 2 / 3)",
    ),
    "RowCountMatch": ('RowCountMatch "reference" >= 0.95',),
    "SchemaMatch": ('SchemaMatch "ref" between 0.8 and 0.9',),
    "StandardDeviation": ('StandardDeviation "c" <= 10.0',),
    "Sum": ('Sum "c" > 100',),
    "Uniqueness": ('Uniqueness "a" "b" >= 0.99', 'Uniqueness "c" between min(last(10)) and max(last(10))'),
    "UniqueValueRatio": ('UniqueValueRatio "c" between 0.1 and 0.5',),
    "Variance": ('Variance "c" < 25',),
    "Skewness": ('Skewness "c" between -1 and 1',),
    "Kurtosis": ('Kurtosis "c" < 3',),
    "Range": ('Range "c" <= 100',),
    "InterquartileRange": ('InterquartileRange "c" < 5 where "a is not null"',),
    "ZerosCount": ('ZerosCount "c" = 0',),
    "DuplicateRowCount": ('DuplicateRowCount "a" "b" = 0', "DuplicateRowCount = 0"),
}
ANALYZER_FORMS = (
    "RowCount", "ColumnCount", 'Completeness "c"', 'Uniqueness "a" "b"', 'Mean "c"', 'Sum "c"', 'StandardDeviation "c"',
    'Entropy "c"', 'DistinctValuesCount "c"', 'UniqueValueRatio "c"', 'ColumnLength "c"', 'ColumnValues "c"',
    'ColumnCorrelation "a" "b"', 'CustomSql "select 1"', 'AllStatistics "c"', "AllStatistics AllColumns",
    'Distribution "c"', "Distribution AllColumns", 'Distribution "c" with bins = 10', 'Distribution "c" with bins = 10, rebin = false',
)  # fmt: skip


def test_every_rule_type_analyzer_and_tag_is_tried():
    assert (len(TYPES), len(ANALYZERS)) == (38, 16)
    assert FORMS.keys() == TYPES.keys()
    assert {form.split()[0] for form in ANALYZER_FORMS} == ANALYZERS.keys()
    tried = " ".join([*ANALYZER_FORMS, *(form for forms in FORMS.values() for form in forms)])
    assert [tag for tag in TAGS if f" {tag} = " not in tried and f" {tag} > " not in tried] == []


@pytest.mark.parametrize("form", [form for forms in FORMS.values() for form in forms])
def test_a_rule_is_read_and_printed_as_it_is_written(form):
    rule = one(form)
    assert isinstance(rule, Rule)
    assert rule.type == form.split()[0]
    assert one(format_rule(rule)) == rule
    assert format_rule(rule) == form.replace("(0.9 * avg(last(10)))", "0.9 * avg(last(10))").replace(
        "(1.1 * avg(last(10)))", "1.1 * avg(last(10))"
    )


@pytest.mark.parametrize("form", ANALYZER_FORMS)
def test_an_analyzer_is_read_and_printed_as_it_is_written(form):
    document = parse(f"Analyzers = [ {form} ]")
    assert document.rules is None
    assert [format_rule(analyzer, analyzer=True) for analyzer in document.analyzers or ()] == [form]


# values

NOW = Call("now")
TREES = {
    'Completeness of "c" > 0.95': Rule("Completeness", (Parameter("c", link="of"),), Comparison(">", Number("0.95"))),
    "IsComplete a.b_1": Rule("IsComplete", (Parameter("a.b_1", "bare"),)),
    'ColumnValues "c" not in [-1, NULL]': Rule(
        "ColumnValues", (Parameter("c"),), Membership((Number("-1"), Constant("NULL")), negated=True)
    ),
    'ColumnValues "c" not matches "a"': Rule("ColumnValues", (Parameter("c"),), Matches(Text("a"), negated=True)),
    'ColumnValues "c" > (now() - 3 days)': Rule(
        "ColumnValues", (Parameter("c"),), Comparison(">", Operation("-", NOW, Quantity("3", "days")))
    ),
    "RowCount between 1 - 2 - 3 and 4 * (5 + 6)": Rule(
        "RowCount",
        (),
        Between(
            Operation("-", Operation("-", Number("1"), Number("2")), Number("3")),
            Operation("*", Number("4"), Operation("+", Number("5"), Number("6"))),
        ),
    ),
    "RowCount > -avg(last(7))": Rule(
        "RowCount", (), Comparison(">", Negative(Call("avg", (Call("last", (Number("7"),)),))))
    ),
    "FileSize < 10MB": Rule("FileSize", (), Comparison("<", Quantity("10", "MB"))),
    'IsUnique "a" labels=["k"="v", "x"=""] where "b"': Rule(
        "IsUnique", (Parameter("a"),), None, Text("b"), (Label("k", "v"), Label("x", ""))
    ),
    'FileMatch with dataFrame="true" with recentFiles=3': Rule(
        "FileMatch",
        tags=(Tag("dataFrame", Comparison("=", Text("true"))), Tag("recentFiles", Comparison("=", Number("3")))),
    ),
    '(IsComplete "a")': Rule("IsComplete", (Parameter("a"),)),
    "(RowCount > 1) AND (RowCount < 5)": Composite(
        "and", (Rule("RowCount", (), Comparison(">", Number("1"))), Rule("RowCount", (), Comparison("<", Number("5"))))
    ),
    '(IsComplete a) or (IsComplete b) and (IsComplete c) labels=["k"="v"]': Composite(
        "or",
        (
            Rule("IsComplete", (Parameter("a", "bare"),)),
            Composite("and", tuple(Rule("IsComplete", (Parameter(name, "bare"),)) for name in "bc")),
        ),
        (Label("k", "v"),),
    ),
    "((IsComplete a) or (IsComplete b)) and (IsComplete c)": Composite(
        "and",
        (
            Composite("or", tuple(Rule("IsComplete", (Parameter(name, "bare"),)) for name in "ab")),
            Rule("IsComplete", (Parameter("c", "bare"),)),
        ),
    ),
}


@pytest.mark.parametrize(("text", "tree"), TREES.items())
def test_what_is_written_is_this_value(text, tree):
    assert one(text) == tree
    assert one(format_rule(tree)) == tree


WHOLE = """\
# a whole document
Metadata = { "Description": "orders # not a comment", "Tags": ["a", "b"] }
DataSources = { "Primary": "orders", "AdditionalDataSources": ["ref"] }
states = ["SE", "NO"]
nothing = NULL
sql = "select count(*)
from primary"   # over two lines
DefaultLabels = ["team"="dq"]
Rules = [
    IsComplete "id",    # comments go anywhere
    ColumnValues "state" in $states,
    CustomSql $sql > 0,
    ColumnValues "x" = $nothing where "a = '#'",
]
Analyzers = [ RowCount ]
""".replace("'#'\",\n]", "'#'\"\n]")


def test_a_document_has_all_its_sections():
    document = parse(WHOLE)
    assert document.metadata == (Entry("Description", "orders # not a comment"), Entry("Tags", ("a", "b")))
    assert document.data_sources == (Entry("Primary", "orders"), Entry("AdditionalDataSources", ("ref",)))
    assert document.variables == (
        Binding("states", (Text("SE"), Text("NO"))),
        Binding("nothing", Constant("NULL")),
        Binding("sql", Text("select count(*)\nfrom primary")),
    )
    assert document.default_labels == (Label("team", "dq"),)
    assert document.analyzers == (Rule("RowCount"),)
    assert parse(dqdl.format(document)) == document


def test_everything_knows_its_place():
    rules = parse(WHOLE).rules or ()
    assert [rule.at for rule in rules] == [Position(line, 5) for line in (10, 11, 12, 13)]
    rule = rules[1]
    assert isinstance(rule, Rule)
    assert (rule.parameters[0].at, rule.condition and rule.condition.at) == (Position(11, 18), Position(11, 26))


def test_variables_give_their_values():
    rules = resolved(parse(WHOLE)).rules or ()
    assert rules[1] == one('ColumnValues "state" in ["SE", "NO"]')
    assert rules[2] == one('CustomSql "select count(*)\nfrom primary" > 0')
    assert rules[3] == one('ColumnValues "x" = NULL where "a = \'#\'"')


def test_lists_may_be_empty_and_sections_stand_in_any_order():
    assert parse("Analyzers = [] Rules = []") == Document(rules=(), analyzers=())
    assert parse("\ufeffRules = [ RowCount = $n ] n = NULL", "x").variables == (Binding("n", Constant("NULL")),)


TEXTS = {r'"a"': "a", r'"a\"b"': 'a"b', r'"\.csv$"': r"\.csv$", r'"\\"': r"\\", r'"\\\""': r"\\" + '"', '"é\n"': "é\n"}


@pytest.mark.parametrize(("written", "text"), TEXTS.items())
def test_a_backslash_is_one_unless_a_quote_follows(written, text):
    assert one(f"IsComplete {written}").parameters == (Parameter(text),)
    assert quoted(text) == written


@pytest.mark.parametrize("text", ("a\\", '\\"', '\\\\\\"'))
def test_a_text_that_cannot_be_written_is_refused(text):
    with pytest.raises(ValueError, match="cannot write a backslash before a quote"):
        quoted(text)


# mistakes

BROKEN = {
    'JobStatus = "SUCCEEDED"': "'JobStatus' is not a rule type; it is about a job of AWS, and rules are about its data",
    'AggregateMatch "sum(a)" >= 1': "'AggregateMatch' takes 2 parameters: two aggregates such as \"sum(a)\" and \"sum(reference.a)\"; got 1",
    'ColumnCorrelation "a" > 0': "'ColumnCorrelation' takes 2 parameters: two columns; got 1",
    'ColumnCount = 1 where "a"': "'ColumnCount' takes no 'where'",
    'ColumnDataType "c" = "Integr"': "'ColumnDataType' does not know the type 'Integr'; did you mean 'Integer'? types: "
    "Boolean, Date, Timestamp, Integer, Double, Float, Long, String, DECIMAL(p,s)",
    'ColumnDataType "c" = "DECIMAL(40,2)"': "'ColumnDataType' has the type 'DECIMAL(40,2)'; it must be DECIMAL(p,s) with 1 <= p <= 38 and s <= p",
    'ColumnDataType "c" > "Date"': "'ColumnDataType' has '>' before the text 'Date'; allowed there: =, !=, in, not in",
    'ColumnExists "c" = 1': "'ColumnExists' takes no condition",
    'ColumnLength "c" > avg(last(3))': "'ColumnLength' takes no functions of the history",
    "ColumnNamesMatchPattern": "'ColumnNamesMatchPattern' takes 1 parameter: the regular expression; got 0",
    'ColumnValues "c" > "abc"': "'ColumnValues' has '>' before the text 'abc'; allowed there: =, !=, in, not in, matches, not matches",
    'ColumnValues "c" < NULL': "'ColumnValues' has '<' before NULL; allowed there: =, !=, in, not in",
    'ColumnValues "c" between "a" and "b"': "'ColumnValues' compares with 'between' numbers, dates, times, durations and sizes, not the text 'a'",
    'ColumnValues "c" in ["a", 1]': "'ColumnValues' compares with number and text at once; operands are of one kind",
    'ColumnValues "c" in []': "'ColumnValues' has an empty list behind 'in'",
    'ColumnValues "c" = US': "'ColumnValues' has 'US' without quotes; a text stands in double quotes",
    'ColumnValues "c" matches "[a"': "'ColumnValues' has a pattern that is not a regular expression: unterminated character set at character 1 of '[a'",
    'ColumnValues "c" = 1 with treshold > 0.5': "'ColumnValues' does not take the tag 'treshold'; did you mean 'threshold'? its tags: threshold, ignoreCase",
    'ColumnValues "c" = 1 with threshold > "x"': "'ColumnValues' with threshold compares with a number, such as '>= 1', not with the text 'x'",
    'ColumnValues "c" = "a" with ignoreCase = 1': "'ColumnValues' has a tag 'ignoreCase' that must be \"true\" or \"false\"",
    'ColumnValues "c" > (now() - 3 dais)': "'ColumnValues' does not know the unit 'dais'; did you mean 'days'? units: "
    "minute, minutes, hour, hours, day, days, B, KB, MB, GB, TB",
    'ColumnValues "c" > "2020-01-01" - 3 days': "'ColumnValues' moves a date in quotes; only now() can be moved by a duration",
    'Completeness "c"': "'Completeness' needs a condition, such as '>= 1'",
    "Completeness 'c' > 1": "'Completeness': a text stands in double quotes, not in single ones",
    'CustomSql "a" "b"': "'CustomSql' takes 1 parameter: the query; got 2",
    'DataFreshness "ts" < 24': "'DataFreshness' compares with a duration, such as '<= 24 hours', not with a number",
    'DatasetMatch "ref" = 1': "'DatasetMatch' takes 2 to 3 parameters: the reference, its keys and, where names differ, the columns; got 1",
    'DetectAnomalies "Rowcount"': "'DetectAnomalies' does not know the metric 'Rowcount'; did you mean 'RowCount'? metrics: "
    "RowCount, Completeness, Uniqueness, Mean, Sum, StandardDeviation, Entropy, DistinctValuesCount, UniqueValueRatio, "
    "ColumnLength, ColumnValues, ColumnCorrelation, CustomSQL, ColumnCount",
    'DetectAnomalies "Mean"': "'DetectAnomalies' of 'Mean' takes one column, got 0",
    'DistinctValuesCount "c" == 5': "'DistinctValuesCount' has '==', which is not an operator; did you mean '='? operators: =, !=, >, >=, <, <=",
    'Entropy "c" > last(3)': "'Entropy' has several values in last(3); reduce them, such as avg(last(7))",
    "FileFreshness > 5 days": "'FileFreshness' compares with a date, a time or now(), such as '> (now() - 24 hours)', not with a duration",
    'FileMatch in ["x"] with hashAlgorithm = "SHA1"': "'FileMatch' has a tag 'hashAlgorithm' that must be one of \"MD5\", \"SHA-1\", \"SHA-256\"",
    'FileSize < 10 MB with filterOrder = ["uriRegex", "x"]': "'FileSize' has a tag 'filterOrder' that must be a list of \"uriRegex\" and \"recentFiles\"",
    "FileSize < 10 MB with recentFiles = 0": "'FileSize' has a tag 'recentFiles' that must be a whole number from 1 on",
    "FileUniqueness": "'FileUniqueness' needs a condition, such as '>= 1'",
    'IsComplete "c" > 1': "'IsComplete' takes no condition",
    'IsComplete ""': "'IsComplete' has an empty parameter",
    "IsPrimaryKey": "'IsPrimaryKey' takes at least 1 parameter: the columns; got 0",
    'IsComplete "c" or IsComplete "d"': "'IsComplete' has 'or' in it: rules that are joined stand in brackets, '(IsComplete ...) or (...)'",
    'ColumnValues "c" betwen 1 and 2': "'ColumnValues' has 'betwen' in it; did you mean 'between'?",
    'IsUnique "c" WHERE "a"': "'IsUnique' has 'WHERE' in it, which is written 'where'",
    'Mean "c" > meen(last(2))': "'Mean' does not know the function 'meen'; did you mean 'median'? functions: last, avg, "
    "average, median, max, min, sum, std, percentile, index, abs, now",
    'Mean "c" > index(last(2))': "'Mean' has index() with 1 in its parentheses; it takes two values",
    'Mean "c" > last(0)': "'Mean' has last() with what is no whole number from 1 on",
    'ReferentialIntegrity "a" = 1': "'ReferentialIntegrity' takes 2 parameters: the columns and those of the reference; got 1",
    'RowCount "id" > 100': "'RowCount' takes 0 parameters; got 1",
    'RowCount > "100"': "'RowCount' compares with a number, such as '>= 1', not with the text '100'",
    'RowCount > 1 + "2"': "'RowCount' has '+' with a text; it goes with numbers",
    'RowCount matches "a"': "'RowCount' takes no 'matches'; it goes with ColumnValues",
    "RowCount > 5 5": "'RowCount': '5' cannot stand behind '5'; allowed: a word, + - * /, where, labels, with, the end",
    "RowCount >": "'RowCount': something is missing behind '>'; allowed: a text in quotes, $variable, a number, "
    "NULL, EMPTY, WHITESPACES_ONLY, a word, '('",
    "RowCount BETWEEN 1 and 2": "'RowCount' has 'BETWEEN' in it, which is written 'between'",
    'RowCount > 1 where "a" where "b"': "'RowCount': 'where' stands twice",
    "RowCount > 1 ;": "'RowCount': ';' cannot stand behind '1'; allowed: a word, + - * /, where, labels, with, the end",
    "RowCountMatch >= 1": "'RowCountMatch' takes 1 parameter: the reference; got 0",
    'SchemaMatch "ref"': "'SchemaMatch' needs a condition, such as '>= 1'",
    'StandardDeviation "c" <> 1': "'StandardDeviation' has '<>', which is not an operator; did you mean '!='? operators: =, !=, >, >=, <, <=",
    'Sum "c" > 1 with threshold > 1': "'Sum' does not take the tag 'threshold'; it takes none",
    "Uniqueness > 1": "'Uniqueness' takes at least 1 parameter: the columns; got 0",
    'UniqueValueRatio "c" > 5 MB': "'UniqueValueRatio' compares with a number, such as '>= 1', not with a size",
    'Variance "c" > now(1)': "'Variance' has now() with something in its parentheses; it takes nothing",
    'Skewness "c" > 1 labels=["a"="b", "a"="c"]': "labels: the key 'a' stands twice",
    'Kurtosis "c" > 1 labels=[""="b"]': "labels: a key has 1 to 128 characters, '' has 0",
    'Range "c" > $limit': "'$limit' is not defined; variables: none",
    'InterquartileRange "a" "b" > 1': "'InterquartileRange' takes 1 parameter: the column; got 2",
    'ZerosCount "c"': "'ZerosCount' needs a condition, such as '>= 1'",
    'DuplicateRowCount "a"': "'DuplicateRowCount' needs a condition, such as '>= 1'",
    "AllStatistics AllColumns": "'AllStatistics' is not a rule type; it is an analyzer",
    "Xyz = 100": "'Xyz' is not a rule type; rule types: AggregateMatch, ColumnCorrelation, ColumnCount, "
    "ColumnDataType, ColumnExists, ColumnLength, ColumnNamesMatchPattern, ColumnValues, Completeness, CustomSql, "
    "DataFreshness, DatasetMatch, DetectAnomalies, DistinctValuesCount, Entropy, FileFreshness, FileMatch, FileSize, "
    "FileUniqueness, IsComplete, ...",
    "JobDuration = 100": "'JobDuration' is not a rule type; it is about a job of AWS, and rules are about its data",
    '(IsComplete "a") or': "'IsComplete': something is missing behind 'or'; allowed: '('",
    '(IsComplete "a") && (IsComplete "b")': "'IsComplete': '&' cannot stand behind ')'; allowed: and, or, the end",
}  # fmt: skip


@pytest.mark.parametrize(("rule", "message"), BROKEN.items())
def test_a_mistake_is_told_with_what_is_allowed(rule, message):
    assert told(rule) == [message]


def test_a_mistake_is_tried_for_every_rule_type():
    assert TYPES.keys() <= {rule.lstrip("(").split()[0] for rule in BROKEN}


BROKEN_ANALYZERS = {
    'Mean "c" > 1': "'Mean' is an analyzer here, and an analyzer has no condition",
    'Mean "c" where "a"': "'Mean' is an analyzer here, and an analyzer has no 'where'",
    "IsComplete c": "'IsComplete' is not an analyzer; it is a rule type",
    'Distribution "c" with bns = 5': "'Distribution' does not take the tag 'bns'; did you mean 'bins'? its tags: bins, rebin",
    'Distribution "c" with bins = 5, bins = 6': "'Distribution' has the tag 'bins' twice",
    "(RowCount) and (ColumnCount)": "analyzers cannot be joined; write one after the other",
}


@pytest.mark.parametrize(("analyzer", "message"), BROKEN_ANALYZERS.items())
def test_a_mistake_in_an_analyzer_is_told(analyzer, message):
    assert mistakes(f"Analyzers = [\n {analyzer} ]") == [f"2: {message}"]


DOCUMENTS = {
    "": "1: there is neither 'Rules = [ ... ]' nor 'Analyzers = [ ... ]'",
    'Metadata = { "a": "b" }': "1: there is neither 'Rules = [ ... ]' nor 'Analyzers = [ ... ]'",
    'IsComplete "a"': "1: 'IsComplete' is in no section; rules stand in 'Rules = [ ... ]', one ',' between two",
    "Rule = [ RowCount > 1 ]": "1: 'Rule' is not a section; did you mean 'Rules'? sections: Metadata, DataSources, DefaultLabels, Rules, Analyzers",
    "rules = [ RowCount > 1 ]": "1: 'rules' is not a section; did you mean 'Rules'? sections: Metadata, DataSources, DefaultLabels, Rules, Analyzers",
    "Rules = RowCount": "1: 'Rules' must be a list: Rules = [ ... ]",
    "Rules == [ RowCount > 1 ]": "1: '==' behind 'Rules' must be '='",
    "Rules =": "1: 'Rules' has no value",
    "Rules = [ RowCount > 1": "1: '[' is not closed",
    "Rules = [\n RowCount > 1,\n]": "2: there is no rule behind the last ','",
    "Rules = [\n RowCount > 1,,\n RowCount < 2 ]": "2: there is no rule before ','",
    'Rules = [\n IsComplete "a"\n IsUnique "b" ]': "3: a ',' is missing before 'IsUnique'",
    'Rules = [ IsComplete "a" IsUnique "b" ]': "1: a ',' is missing before 'IsUnique'",
    "Rules = []\nRules = []": "2: 'Rules' stands twice (first in line 1)",
    "n = 5\nRules = []": "1: variable 'n' must be a text in quotes, NULL, EMPTY, WHITESPACES_ONLY, or a list of them",
    'Metadata = { "a" "b" }\nRules = []': "1: 'Metadata': '\"b\"' cannot stand behind '\"a\"'; allowed: ':'",
    'DefaultLabels = [""="b"]\nRules = []': "1: DefaultLabels: a key has 1 to 128 characters, '' has 0",
    'a = "x"\nRules = [ ColumnValues "c" in $a ]': "2: '$a' must be a list behind 'in', it is a text",
    'a = ["x"]\nRules = [ ColumnValues "c" = $a ]': "2: '$a' is a list; lists stand behind 'in'",
    'a = ["x"]\nRules = [ IsComplete $a ]': "2: '$a' must be a text here, it is a list",
    'abc = "x"\nRules = [ IsComplete $abd ]': "2: '$abd' is not defined; did you mean 'abc'? variables: abc",
    "Rules = [ " + "(" * 60 + "RowCount > 1" + ")" * 60 + " ]": "1: brackets are nested more than 50 levels deep",
}  # fmt: skip


@pytest.mark.parametrize(("text", "message"), DOCUMENTS.items())
def test_a_mistake_in_a_document_is_told(text, message):
    assert mistakes(text) == [message]


def test_all_mistakes_of_a_document_are_told_and_none_spoils_the_next_rule():
    text = """\
Rules = [
    IsCompleet "a",
    (IsComplete "a" and (IsUnique "b"),
    RowCount > ,
    IsUnique "c
    RowCount > "1",
    Mean "c" > 1
]
Analyzers = [ Mean ]
"""
    assert [message.partition(": ")[0] for message in mistakes(text)] == ["2", "3", "4", "5", "6", "9"]
    document, _ = parse_all(text)
    assert [rule.type for rule in document.rules or () if isinstance(rule, Rule)] == ["IsCompleet", "RowCount", "Mean"]


def test_an_error_has_every_mistake_with_its_place():
    with pytest.raises(RuleFileError) as caught:
        parse("Rules = [ A, B ]", "x/y.dqdl")
    assert [str(problem)[:30] for problem in caught.value.problems] == [
        "x/y.dqdl:1: 'A' is not a rule ",
        "x/y.dqdl:1: 'B' is not a rule ",
    ]


def test_labels_are_counted_with_the_default_ones():
    labels = ", ".join(f'"k{n}"="v"' for n in range(9))
    text = f'DefaultLabels = ["k0"="x", "team"="dq"]\nRules = [\nIsComplete "a" labels=[{labels}],\n%s ]'
    assert mistakes(text % 'IsComplete "b"') == []
    ten = f'IsComplete "b" labels=[{labels}, "more"="v"]'
    assert mistakes(text % ten) == ["4: labels: a rule has at most 10 labels, default ones included; got 11"]
    assert mistakes(text % f'IsComplete "b" labels=["{"k" * 129}"="v"]')[0].startswith("4: labels: a key has 1 to 128 ")
    assert mistakes(text % f'IsComplete "b" labels=["k"="{"v" * 257}"]') == [
        "4: labels: a value has at most 256 characters, that of 'k' has more"
    ]


# properties

PLAIN = st.text(st.characters(codec="utf-8", exclude_characters="\\"), max_size=8)
NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,5}", fullmatch=True).filter(
    lambda name: name.lower() not in ("and", "or", "of", "not", "null", "empty", "whitespaces_only")
)
NUMBERS = st.from_regex(r"-?[0-9]{1,4}(\.[0-9]{1,3})?", fullmatch=True).map(Number)
ATOMS = st.one_of(
    NUMBERS,
    PLAIN.map(Text),
    st.sampled_from(("NULL", "EMPTY", "WHITESPACES_ONLY")).map(Constant),
    st.builds(Variable, NAMES),
    st.builds(Quantity, st.from_regex(r"[0-9]{1,3}", fullmatch=True), st.sampled_from(("days", "hours", "MB", "TB"))),
    st.just(NOW),
    st.sampled_from(("true", "false")).map(Word),
)
EXPRESSIONS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.builds(Operation, st.sampled_from("+-*/"), inner, inner),
        st.builds(Negative, inner),
        st.builds(Call, NAMES, st.lists(inner, max_size=2).map(tuple)),
    ),
    max_leaves=6,
)
CONDITIONS = st.one_of(
    st.builds(Comparison, st.sampled_from(("=", "!=", ">", ">=", "<", "<=")), EXPRESSIONS),
    st.builds(Between, EXPRESSIONS, EXPRESSIONS, st.booleans()),
    st.builds(Membership, st.lists(EXPRESSIONS, max_size=3).map(tuple), st.booleans()),
    st.builds(Membership, st.builds(Variable, NAMES), st.booleans()),
    st.builds(Matches, PLAIN.map(Text), st.booleans()),
)
PARAMETERS = st.one_of(
    st.builds(Parameter, PLAIN, st.just("quoted"), st.sampled_from(("", "of", "and"))),
    st.builds(Parameter, NAMES, st.sampled_from(("bare", "variable")), st.sampled_from(("", "of", "and"))),
).filter(lambda p: p.value not in (*TYPES, *ANALYZERS, "between", "in", "matches", "where", "with", "labels"))
LABELS = st.lists(st.builds(Label, PLAIN, PLAIN), max_size=2).map(tuple)
RULES = st.builds(
    Rule,
    st.sampled_from(sorted(TYPES)),
    st.lists(PARAMETERS, max_size=2).map(tuple),
    st.none() | CONDITIONS,
    st.none() | PLAIN.map(Text),
    LABELS,
    st.lists(st.builds(Tag, st.sampled_from(sorted(TAGS)), CONDITIONS), max_size=2).map(tuple),
)
ANY_RULES = st.recursive(
    RULES,
    lambda inner: st.builds(
        Composite, st.sampled_from(("and", "or")), st.lists(inner, min_size=2, max_size=3).map(tuple), LABELS
    ),
    max_leaves=4,
)
ENTRIES = st.lists(st.builds(Entry, PLAIN, PLAIN | st.lists(PLAIN, max_size=2).map(tuple)), max_size=2).map(tuple)
VALUES = PLAIN.map(Text) | st.just(Constant("NULL"))
DOCUMENTS_OF_ANYTHING = st.builds(
    Document,
    ENTRIES,
    ENTRIES,
    st.lists(st.builds(Binding, NAMES, VALUES | st.lists(VALUES, max_size=2).map(tuple)), max_size=2, unique_by=lambda b: b.name)
    .map(lambda bindings: tuple(b for b in bindings if len(b.name) < 3)),
    LABELS,
    st.none() | st.lists(ANY_RULES, max_size=3).map(tuple),
    st.none() | st.lists(RULES, max_size=2).map(tuple),
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(DOCUMENTS_OF_ANYTHING)
def test_what_is_printed_reads_back_as_the_same(document):
    assert parse_all(dqdl.format(document))[0] == document


@settings(max_examples=60, deadline=None)
@given(EXPRESSIONS)
def test_operands_keep_their_parentheses(value):
    rule = Rule("RowCount", (), Comparison(">", value))
    assert parse_all(f"Rules = [ {format_rule(rule)} ]")[0].rules == (rule,)
    assert expression(value)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([form for forms in FORMS.values() for form in forms]), max_size=5), st.data())
def test_a_document_that_lost_a_piece_is_told_and_nothing_breaks(forms, data):
    text = "Rules = [\n" + ",\n".join(forms) + "\n]"
    begin = data.draw(st.integers(0, len(text)))
    piece = data.draw(st.integers(0, 5))
    _, problems = parse_all(text[:begin] + text[begin + piece :])
    assert all(1 <= problem.line <= text.count("\n") + 1 and problem.message for problem in problems)


@settings(max_examples=60, deadline=None)
@given(st.text(st.sampled_from('Rules=[]RowCount(){},"$#\\ \n><.5-and'), max_size=40))
def test_no_text_breaks_the_parser(text):
    document, problems = parse_all(text)
    assert problems or parse(dqdl.format(document)) == document


def test_a_thousand_rules_are_read_in_seconds():
    rules = ",\n".join(
        f'ColumnValues "c{n}" between {n} and {n + 5} where "a > {n}" with threshold > 0.9' for n in range(1000)
    )
    document = parse(f"Rules = [\n{rules}\n]")
    assert len(document.rules or ()) == 1000
    assert parse(dqdl.format(document)) == document


def test_a_sum_without_end_is_refused():
    assert mistakes("Rules = [ RowCount > " + "1 + " * 20_000 + "1 ]") == ["1: 'RowCount': too many operands"]
