"""The only module that knows Deequ and the JVM behind it.

Rules that Deequ can express are constraints on real Deequ `Check`s. Deequ's own runner would scan the batch by itself;
instead its analyzers give their aggregate columns, our shared scan computes them, and the row goes back through
`metricFromAggregationResult`. Counts, keys and natively computed values go in as Deequ's states. No Python function
crosses py4j: assertions are instances of a Java class that Spark's own compiler (Janino) builds at start.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast
from weakref import WeakKeyDictionary

from py4j.protocol import Py4JError
from pyspark import SparkContext
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.column import Column

from quality.analyzers import Analyzer, Compliance
from quality.backends.compiled import compiled
from quality.model import MetricKey, Severity

_SOURCE = """
import com.amazon.deequ.analyzers.Analyzer;
import com.amazon.deequ.analyzers.Completeness;
import com.amazon.deequ.analyzers.Compliance;
import com.amazon.deequ.analyzers.NumMatchesAndCount;
import com.amazon.deequ.analyzers.runners.AnalyzerContext;
import com.amazon.deequ.checks.Check;
import com.amazon.deequ.checks.CheckResult;
import com.amazon.deequ.constraints.AnalysisBasedConstraint;
import com.amazon.deequ.constraints.ConstraintResult;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import org.apache.spark.api.python.PythonUtils;
import scala.Option;
import scala.collection.JavaConverters;

public final class QualityChecks {
  private final ObjectMapper mapper = new ObjectMapper();
  private final List analyzers = new ArrayList();
  private final List metrics = new ArrayList();

  // a metric that was computed already
  public void add(Object analyzer, Object metric) {
    analyzers.add(analyzer);
    metrics.add(metric);
  }

  // one Check of all demands, in their order; what is not counts was added before
  public String evaluate(Object level, String description, String demands) throws java.io.IOException {
    HashMap found = new HashMap();
    List constraints = new ArrayList();
    Option none = Option.apply(null);
    int next = 0;
    for (Iterator all = mapper.readTree(demands).elements(); all.hasNext();) {
      JsonNode demand = (JsonNode) all.next();
      Analyzer analyzer;
      if (demand.has("matches")) {
        analyzer = counting(demand);
        Object state = new NumMatchesAndCount(demand.get("matches").longValue(), demand.get("rows").longValue(), none);
        found.put(analyzer, analyzer.computeMetricFrom(Option.apply(state)));
      } else {
        analyzer = (Analyzer) analyzers.get(next);
        found.put(analyzer, metrics.get(next));
        next++;
      }
      QualityBounds bounds = new QualityBounds((ArrayNode) demand.get("words"), (ArrayNode) demand.get("bounds"));
      constraints.add(new AnalysisBasedConstraint(analyzer, bounds, none, text(demand, "hint")));
    }
    Check check = new Check((scala.Enumeration.Value) level, description, list(constraints));
    CheckResult result = check.evaluate(new AnalyzerContext(PythonUtils.toScalaMap(found)));
    ObjectNode told = mapper.createObjectNode();
    told.put("status", result.status().toString());
    ArrayNode outcomes = told.putArray("outcomes");
    for (scala.collection.Iterator each = result.constraintResults().iterator(); each.hasNext();) {
      ConstraintResult one = (ConstraintResult) each.next();
      ArrayNode outcome = outcomes.addArray();
      outcome.add(one.constraint().toString());
      outcome.add(one.status().toString());
      outcome.add(one.message().isDefined() ? (String) one.message().get() : "");
    }
    return mapper.writeValueAsString(told);
  }

  private static Analyzer counting(JsonNode demand) {
    Option where = text(demand, "where");
    if (demand.has("column")) {
      return new Completeness(demand.get("column").asText(), where, Option.apply(null));
    }
    return new Compliance(demand.get("instance").asText(), demand.get("predicate").asText(), where,
        list(new ArrayList()), Option.apply(null));
  }

  private static Option text(JsonNode demand, String name) {
    String text = demand.get(name).asText();
    return Option.apply(text.isEmpty() ? null : text);
  }

  private static scala.collection.immutable.List list(List items) {
    return JavaConverters.collectionAsScalaIterable(items).toList();
  }
}

final class QualityBounds extends scala.runtime.AbstractFunction1 implements java.io.Serializable {
  private final String[] words;
  private final double[] bounds;
  QualityBounds(ArrayNode words, ArrayNode bounds) {
    this.words = new String[words.size()];
    this.bounds = new double[words.size()];
    for (int i = 0; i < this.words.length; i++) {
      this.words[i] = words.get(i).asText();
      this.bounds[i] = Double.parseDouble(bounds.get(i).asText());
    }
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
    """A constraint to put on a check: what was measured, and the bounds Deequ is to hold it against. `measured` is rows that comply
    and rows in scope, of analyzers whose `source` is counts, else a metric in the JVM."""

    rule: str
    severity: Severity
    analyzer: Analyzer
    measured: Any
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
        self._levels = deequ.checks.CheckLevel
        self.analyzers = deequ.analyzers
        self.none = self._options.apply(None)
        self.empty = self._seq([])
        self.version = _jar_version(self.jvm)
        self._checks = compiled(spark, "QualityChecks", _SOURCE)

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
        # one call for all: a thousand rules are some twenty thousand calls otherwise
        checks = self._checks.newInstance(None)
        for demand in demands:
            if demand.analyzer.source != "counts":
                checks.add(self.real(demand.analyzer), demand.measured)
        texts = json.dumps([_as_json(demand) for demand in demands])
        told = json.loads(checks.evaluate(getattr(self._levels, level)(), description, texts))
        found = tuple(
            ConstraintOutcome(demand.rule, constraint, status == "Success", message)
            for demand, (constraint, status, message) in zip(demands, told["outcomes"], strict=True)
        )
        return CheckOutcome(description, level, told["status"], found)

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


def _as_json(demand: Demand) -> dict[str, Any]:
    """A demand as `QualityChecks` takes it; bounds are text, for the sake of infinity."""
    analyzer = demand.analyzer
    told = {
        "words": [word for word, _ in demand.terms],
        "bounds": [_double(float(bound)) for _, bound in demand.terms],
        "hint": demand.hint,
        "where": analyzer.where,
    }
    if analyzer.source != "counts":
        return told
    matches, rows = demand.measured
    what = (
        {"instance": analyzer.instance, "predicate": analyzer.predicate}
        if isinstance(analyzer, Compliance)
        else {"column": analyzer.columns[0]}
    )
    return {**told, **what, "matches": matches, "rows": rows}


def _double(number: float) -> str:
    """A double as Java reads it."""
    return repr(number).replace("inf", "Infinity").replace("nan", "NaN")


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
