package org.quality;

import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.catalyst.expressions.BoundReference;
import org.apache.spark.sql.catalyst.expressions.Expression;
import org.apache.spark.sql.catalyst.expressions.GenericInternalRow;
import org.apache.spark.sql.catalyst.expressions.aggregate.ImperativeAggregate;
import org.apache.spark.sql.catalyst.expressions.aggregate.TypedImperativeAggregate;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.DataTypes;
import scala.collection.IndexedSeq;
import scala.collection.Seq;

/**
 * An aggregate over many columns at once, whose result is the bytes of a TallyState: rules that rows broke, counted bit by bit,
 * and the profile of columns. It takes the place of some hundred aggregates, each of which Spark would update by itself.
 * `roles` has a sign for each input: 'm' a word of rule bits, all of which come first; 'p' a column to
 * profile, 'q' one of which only counts, moments and extremes are asked, 'n' one whose values are only counted.
 */
public final class Tally extends TypedImperativeAggregate implements java.io.Serializable {
  private final Seq inputs;
  private final String roles;
  private final int mutableOffset;
  private final int inputOffset;

  public Tally(Seq inputs, String roles, int mutableOffset, int inputOffset) {
    this.inputs = inputs;
    this.roles = roles;
    this.mutableOffset = mutableOffset;
    this.inputOffset = inputOffset;
  }

  public Object createAggregationBuffer() {
    DataType[] types = new DataType[roles.length()];
    for (int i = 0; i < types.length; i++) { types[i] = ((Expression) inputs.apply(i)).dataType(); }
    return new TallyState(roles, types);
  }

  public Object update(Object buffer, InternalRow row) {
    TallyState state = (TallyState) buffer;
    if (state.ordinals == null) { state.ordinals = ordinals(); }
    if (state.ordinals.length == roles.length()) {
      state.add(row, state.ordinals);
    } else {
      state.add(evaluated(row), null);
    }
    return state;
  }

  /** Where each input stands in the row; nothing when one of them has to be computed first. */
  private int[] ordinals() {
    int[] found = new int[roles.length()];
    for (int i = 0; i < found.length; i++) {
      Object input = inputs.apply(i);
      if (!(input instanceof BoundReference)) { return new int[0]; }
      found[i] = ((BoundReference) input).ordinal();
    }
    return found;
  }

  private InternalRow evaluated(InternalRow row) {
    Object[] values = new Object[roles.length()];
    for (int i = 0; i < values.length; i++) { values[i] = ((Expression) inputs.apply(i)).eval(row); }
    return new GenericInternalRow(values);
  }

  public Object merge(Object buffer, Object other) {
    ((TallyState) buffer).merge((TallyState) other);
    return buffer;
  }

  public Object eval(Object buffer) { return ((TallyState) buffer).toBytes(); }

  public byte[] serialize(Object buffer) { return ((TallyState) buffer).part(); }

  public Object deserialize(byte[] bytes) {
    TallyState state = (TallyState) createAggregationBuffer();
    state.fromBytes(bytes);
    return state;
  }

  public int mutableAggBufferOffset() { return mutableOffset; }

  public int inputAggBufferOffset() { return inputOffset; }

  public ImperativeAggregate withNewMutableAggBufferOffset(int offset) {
    return new Tally(inputs, roles, offset, inputOffset);
  }

  public ImperativeAggregate withNewInputAggBufferOffset(int offset) {
    return new Tally(inputs, roles, mutableOffset, offset);
  }

  public boolean nullable() { return false; }

  public DataType dataType() { return DataTypes.BinaryType; }

  public Seq children() { return inputs; }

  public Expression withNewChildrenInternal(IndexedSeq children) {
    return new Tally(children, roles, mutableOffset, inputOffset);
  }

  public int productArity() { return 2; }

  public Object productElement(int place) { return place == 0 ? (Object) inputs : (Object) roles; }

  public boolean canEqual(Object other) { return other instanceof Tally; }

  public boolean equals(Object other) {
    return other instanceof Tally && ((Tally) other).inputs.equals(inputs) && ((Tally) other).roles.equals(roles);
  }

  public int hashCode() { return inputs.hashCode() * 31 + roles.hashCode(); }
}
