"""The only module that knows Deequ and the JVM behind it.

Rules that Deequ can express are constraints on real Deequ `Check`s. Deequ's own runner would scan the batch by itself;
instead its analyzers give their aggregate columns, our shared scan computes them, and the row goes back through
`metricFromAggregationResult`. Counts, keys and natively computed values go in as Deequ's states. No Python function
crosses py4j: assertions are instances of a Java class that Spark's own compiler (Janino) builds at start.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast
from weakref import WeakKeyDictionary

from py4j.protocol import Py4JError
from pyspark import SparkContext
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.column import Column

from quality.analyzers import Analyzer
from quality.backends.compiled import compiled
from quality.model import MetricKey, Severity

_BOUNDS_SOURCE = """
public final class QualityBounds extends scala.runtime.AbstractFunction1 implements java.io.Serializable {
  private final String[] words;
  private final double[] bounds;
  public QualityBounds(String words, String bounds) {
    this.words = words.split(" ");
    String[] texts = bounds.split(" ");
    this.bounds = new double[texts.length];
    for (int i = 0; i < texts.length; i++) { this.bounds[i] = Double.parseDouble(texts[i]); }
  }
  public Object apply(Object value) {
    double x = ((Number) value).doubleValue();
    if (Double.isNaN(x)) { return Boolean.FALSE; }
    for (int i = 0; i < words.length; i++) { if (!holds(words[i], x, bounds[i])) { return Boolean.FALSE; } }
    return Boolean.TRUE;
  }
  private static boolean holds(String word, double x, double bound) {
    if (word.equals("at_least")) { return x >= bound; }
    if (word.equals("above")) { return x > bound; }
    if (word.equals("at_most")) { return x <= bound; }
    if (word.equals("below")) { return x < bound; }
    if (word.equals("equals")) { return x == bound; }
    return x != bound;
  }
}
"""


#: Looking classes up and compiling takes longer than a small batch: once for each Spark.
_CONNECTED: WeakKeyDictionary[SparkContext, Deequ] = WeakKeyDictionary()


@dataclass(frozen=True)
class ConstraintOutcome:
    """What Deequ says of one constraint."""

    rule: str
    constraint: str
    passed: bool
    message: str


@dataclass(frozen=True)
class CheckOutcome:
    """What Deequ says of one check: all rules of a severity."""

    description: str
    level: str
    status: str
    constraints: tuple[ConstraintOutcome, ...]


@dataclass(frozen=True)
class Demand:
    """A constraint to put on a check: the metric and the bounds Deequ is to hold it against."""

    rule: str
    severity: Severity
    analyzer: Analyzer
    metric: Any
    terms: tuple[tuple[str, float], ...]
    hint: str


class Deequ:
    """Deequ in the JVM of a Spark. Making one raises Py4JError or TypeError when Deequ is not there: use `connect`."""

    def __init__(self, spark: SparkSession) -> None:
        self.jvm = cast("Any", spark._jvm)
        self.gateway = cast("Any", spark.sparkContext._gateway)
        # a walk through packages asks the JVM at every step: the classes are looked up once
        deequ = self.jvm.com.amazon.deequ
        self._makers: dict[str, Any] = {}
        self._converters = self.jvm.scala.collection.JavaConverters
        self._options = self.jvm.scala.Option
        self._successes = self.jvm.scala.util.Success
        self._double_metrics, self._entities = deequ.metrics.DoubleMetric, deequ.metrics.Entity
        self._constraints = deequ.constraints.AnalysisBasedConstraint
        self._objects = self.jvm.java.lang.Object
        self.analyzers = deequ.analyzers
        self.none = self._options.apply(None)
        self.empty = self._seq([])
        self.version = _jar_version(self.jvm)
        self._bounds = compiled(spark, "QualityBounds", _BOUNDS_SOURCE)

    @cached_property
    def bridged(self) -> bool:
        """Whether the methods that are private in Scala, and public in the class files, are there."""
        methods = self.analyzers.Size(self.none).getClass().getMethods()
        found = {(method.getName(), method.getParameterCount()) for method in methods}
        return {("aggregationFunctions", 0), ("metricFromAggregationResult", 4)} <= found

    # analyzers

    def analyzer(self, analyzer: Analyzer, columns: Sequence[str], where: str = "") -> Any:
        """Deequ's analyzer of the same name over these columns."""
        given: dict[str, Callable[[], Any]] = {
            "column": lambda: columns[0],
            "column2": lambda: columns[1],
            "columns": lambda: self._seq(columns),
            "where": lambda: self._option(where),
            "none": lambda: self.none,
            "nothing": lambda: self.empty,
        }
        make = self._maker(analyzer.name)
        return make(*(getattr(analyzer, word[1:]) if word[0] == "=" else given[word]() for word in analyzer.deequ))

    def _maker(self, name: str) -> Any:
        """A class of Deequ's analyzers package: an analyzer or a state."""
        if name not in self._makers:
            self._makers[name] = getattr(self.analyzers, name)
        return self._makers[name]

    def real(self, analyzer: Analyzer) -> Any:
        """Deequ's analyzer with the names the steward knows."""
        return self.analyzer(analyzer, analyzer.columns, analyzer.where)

    def aggregations(self, java: Any) -> list[Column]:
        """The aggregate columns of a scan-shareable analyzer."""
        return [Column(column) for column in self._java_list(java.aggregationFunctions())]

    # metrics

    def from_row(self, java: Any, row: Any, offset: int) -> Any:
        """The metric of an analyzer whose aggregates stand in a JVM row from `offset` on."""
        return java.metricFromAggregationResult(row, offset, self.none, self.none)

    def from_counts(self, java: Any, matches: int, rows: int) -> Any:
        """The metric of Compliance or Completeness from numbers of rows."""
        state = self._maker("NumMatchesAndCount")(matches, rows, self.none)
        return java.computeMetricFrom(self._some(state))

    def from_size(self, java: Any, rows: int) -> Any:
        """The metric of Size."""
        return java.computeMetricFrom(self._some(self._maker("NumMatches")(rows)))

    def from_state(self, java: Any, state: str, value: float) -> Any:
        """The metric of an analyzer whose state is one number."""
        arguments = (value,) if state == "SumState" else (value, self.none)
        return java.computeMetricFrom(self._some(self._maker(state)(*arguments)))

    def from_value(self, key: MetricKey, value: float) -> Any:
        """A metric that was measured already (by Deequ's aggregates in the shared scan, or from the frequencies of a
        key). py4j unboxes what Deequ's own constructors of key metrics want boxed."""
        entity = getattr(self._entities, key.entity)()
        return self._double_metrics(entity, key.name, key.instance, self._successes(value), self.none)

    @staticmethod
    def value(metric: Any) -> float | None:
        """A metric's value, None when Deequ could not compute it (no values)."""
        tried = metric.value()
        return float(tried.get()) if tried.isSuccess() else None

    # checks

    def evaluate(self, name: str, demands: Iterable[Demand]) -> list[CheckOutcome]:
        """One Check for each level, evaluated on the metrics: real Deequ check results, without a scan."""
        levels: dict[str, list[Demand]] = {}
        for demand in demands:
            levels.setdefault("Error" if demand.severity == Severity.ERROR else "Warning", []).append(demand)
        return [self._evaluate(f"{name} ({level.lower()})", level, found) for level, found in levels.items()]

    def _evaluate(self, description: str, level: str, demands: list[Demand]) -> CheckOutcome:
        check = self.jvm.com.amazon.deequ.checks.Check(
            getattr(self.jvm.com.amazon.deequ.checks.CheckLevel, level)(), description, self._seq([])
        )
        metrics = self.jvm.java.util.HashMap()
        for demand in demands:
            java = self.real(demand.analyzer)
            metrics.put(java, demand.metric)
            check = check.addConstraint(self._constraint(java, demand))
        context = self.jvm.com.amazon.deequ.analyzers.runners.AnalyzerContext(
            self.jvm.org.apache.spark.api.python.PythonUtils.toScalaMap(metrics)
        )
        result = check.evaluate(context)
        outcomes = zip(demands, self._java_list(result.constraintResults()), strict=False)
        found = tuple(self._outcome(demand, outcome) for demand, outcome in outcomes)
        return CheckOutcome(description, level, str(result.status().toString()), found)

    def _constraint(self, java: Any, demand: Demand) -> Any:
        words = " ".join(word for word, _ in demand.terms)
        numbers = " ".join(repr(float(number)) for _, number in demand.terms)
        arguments = self.gateway.new_array(self._objects, 2)
        arguments[0], arguments[1] = words, numbers
        assertion = self._bounds.newInstance(arguments)
        return self._constraints(java, assertion, self.none, self._option(demand.hint))

    @staticmethod
    def _outcome(demand: Demand, result: Any) -> ConstraintOutcome:
        message = result.message()
        return ConstraintOutcome(
            demand.rule,
            str(result.constraint().toString()),
            str(result.status().toString()) == "Success",
            str(message.get()) if message.isDefined() else "",
        )

    # Deequ's own runner

    def run(self, frame: DataFrame, analyzers: Sequence[Any]) -> Mapping[int, Any]:
        """Deequ's AnalysisRunner over a frame: the fallback when the bridge does not hold, and the oracle of the tests.
        Metrics by the position of the analyzer, failed ones too, which pydeequ's own result leaves out."""
        # only here: it takes a second to import
        from pydeequ.analyzers import AnalysisRunBuilder

        builder = AnalysisRunBuilder(frame.sparkSession, frame)._AnalysisRunBuilder
        for java in analyzers:
            builder = builder.addAnalyzer(java)
        metrics = self._converters.mapAsJavaMapConverter(builder.run().metricMap()).asJava()
        return {index: metrics.get(java) for index, java in enumerate(analyzers)}

    # Scala

    def _option(self, text: str) -> Any:
        return self._some(text) if text else self.none

    def _some(self, value: Any) -> Any:
        return self._options.apply(value)

    def _seq(self, items: Sequence[Any]) -> Any:
        return self._converters.iterableAsScalaIterable(list(items)).toList()

    def _java_list(self, seq: Any) -> list[Any]:
        return list(self._converters.seqAsJavaListConverter(seq).asJava())


def connect(spark: SparkSession) -> Deequ | None:
    """Deequ, or None where its classes are not on the classpath: Spark's own aggregates serve then."""
    if not hasattr(spark, "_jvm") or spark._jvm is None:
        return None
    if spark.sparkContext not in _CONNECTED:
        try:
            deequ = Deequ(spark)
            deequ.analyzers.Size(deequ.none)
        except (Py4JError, TypeError, AttributeError):
            # not kept: a jar may be added
            return None
        _CONNECTED[spark.sparkContext] = deequ
    return _CONNECTED[spark.sparkContext]


def _jar_version(jvm: Any) -> str:
    """The version in the name of the jar that Deequ was loaded from: a platform may bring its own."""
    loader = jvm.java.lang.Thread.currentThread().getContextClassLoader()
    source = loader.loadClass("com.amazon.deequ.VerificationSuite").getProtectionDomain().getCodeSource()
    name = str(source.getLocation().getPath()).rsplit("/", 1)[-1]
    return name.removesuffix(".jar").rpartition("deequ-")[2] or name
