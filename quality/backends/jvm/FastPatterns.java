package org.quality;

import java.util.Collections;
import java.util.HashMap;
import java.util.Map;
import org.apache.spark.sql.catalyst.expressions.Expression;
import org.apache.spark.sql.catalyst.expressions.Literal;
import org.apache.spark.sql.catalyst.expressions.RLike;
import org.apache.spark.sql.catalyst.expressions.objects.Invoke;
import org.apache.spark.sql.catalyst.plans.logical.LogicalPlan;
import org.apache.spark.sql.catalyst.rules.Rule;
import org.apache.spark.sql.catalyst.trees.TreeNode;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.ObjectType;
import scala.collection.JavaConverters;
import scala.collection.Seq;
import scala.collection.TraversableOnce;
import scala.collection.immutable.Nil$;
import scala.runtime.AbstractPartialFunction;

/** Replaces `text rlike '\A(?:...)\z'` by a FullMatch where there is one, in the plans of a session. */
public final class FastPatterns extends Rule {
  private static final String BEGIN = "\\A(?:", END = ")\\z";
  /** An expression is in many plans, and its table takes a moment. */
  private static final Map KNOWN = Collections.synchronizedMap(new HashMap());

  public TreeNode apply(TreeNode plan) { return ((LogicalPlan) plan).transformAllExpressions(new Replaced()); }

  static Object table(Expression expression) {
    if (!(expression instanceof RLike)) { return null; }
    Expression right = ((RLike) expression).right();
    if (!(right instanceof Literal) || ((Literal) right).value() == null) { return null; }
    String text = ((Literal) right).value().toString();
    if (!text.startsWith(BEGIN) || !text.endsWith(END)) { return null; }
    String inner = text.substring(BEGIN.length(), text.length() - END.length());
    if (!KNOWN.containsKey(inner)) {
      if (KNOWN.size() > 10000) { KNOWN.clear(); }
      KNOWN.put(inner, FullMatch.of(inner));
    }
    return KNOWN.get(inner);
  }

  private static final class Replaced extends AbstractPartialFunction {
    public boolean isDefinedAt(Object expression) { return table((Expression) expression) != null; }

    public Object applyOrElse(Object expression, scala.Function1 otherwise) {
      Object table = table((Expression) expression);
      if (table == null) { return otherwise.apply(expression); }
      Expression text = ((RLike) expression).left();
      Object arguments = JavaConverters.asScalaBufferConverter(Collections.singletonList(text)).asScala();
      return new Invoke(new Literal(table, new ObjectType(FullMatch.class)), "matches", DataTypes.BooleanType,
          (Seq) ((TraversableOnce) arguments).toList(), (Seq) Nil$.MODULE$, true, false, true);
    }
  }
}
