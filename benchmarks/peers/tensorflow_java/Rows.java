package peer;

import java.util.ArrayList;
import java.util.List;
import java.util.function.ToLongFunction;
import org.apache.spark.api.java.function.MapPartitionsFunction;
import org.apache.spark.ml.linalg.SparseVector;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Encoders;
import org.apache.spark.sql.Row;

/** Scores tables of `id` and `features`. */
public final class Rows {
  private Rows() {}

  /** Score arrays of floats. */
  public static Dataset<Row> dense(
      Dataset<Row> table, String model, Threads threads, int batchRows) {
    MapPartitionsFunction<DenseRow, Scored> score =
        rows -> {
          Model loaded = new Model(model, threads, "features");
          return new Batches<>(rows, batchRows, batch -> dense(loaded, batch));
        };
    return table
        .as(Encoders.bean(DenseRow.class))
        .mapPartitions(score, Encoders.bean(Scored.class))
        .toDF();
  }

  /** Score MLlib's sparse vectors by their ids and values. */
  public static Dataset<Row> sparse(
      Dataset<Row> table, String model, Threads threads, int batchRows) {
    MapPartitionsFunction<SparseRow, Scored> score =
        rows -> {
          Model loaded = new Model(model, threads, "ids", "values");
          return new Batches<>(rows, batchRows, batch -> sparse(loaded, batch));
        };
    return table
        .as(Encoders.bean(SparseRow.class))
        .mapPartitions(score, Encoders.bean(Scored.class))
        .toDF();
  }

  private static List<Scored> dense(Model model, List<DenseRow> batch) {
    int width = batch.get(0).getFeatures().length;
    float[] features = new float[batch.size() * width];
    int at = 0;
    for (DenseRow row : batch) {
      System.arraycopy(row.getFeatures(), 0, features, at, width);
      at += width;
    }
    return scored(batch, DenseRow::getId, model.score(features, batch.size()));
  }

  /** Pad to the longest row, with id 0 and value 0. */
  private static List<Scored> sparse(Model model, List<SparseRow> batch) {
    int width = 1;
    for (SparseRow row : batch) {
      width = Math.max(width, ((SparseVector) row.getFeatures()).indices().length);
    }
    long[] ids = new long[batch.size() * width];
    float[] values = new float[batch.size() * width];
    int start = 0;
    for (SparseRow row : batch) {
      SparseVector vector = (SparseVector) row.getFeatures();
      int[] indices = vector.indices();
      double[] weights = vector.values();
      for (int at = 0; at < indices.length; at++) {
        ids[start + at] = indices[at];
        values[start + at] = (float) weights[at];
      }
      start += width;
    }
    return scored(batch, SparseRow::getId, model.score(ids, values, batch.size()));
  }

  private static <T> List<Scored> scored(List<T> batch, ToLongFunction<T> id, float[] scores) {
    List<Scored> scored = new ArrayList<>(scores.length);
    for (int at = 0; at < scores.length; at++) {
      scored.add(new Scored(id.applyAsLong(batch.get(at)), scores[at]));
    }
    return scored;
  }
}
