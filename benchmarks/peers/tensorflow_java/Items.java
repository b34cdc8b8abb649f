package peer;

import java.io.Serializable;
import java.util.List;
import org.apache.spark.ml.linalg.SparseVector;
import org.apache.spark.sql.Row;

/** The broadcast items: the id of each, and the ids and values of its vector. */
final class Items implements Serializable {
  final long[] ids;
  final int[][] indices;
  final double[][] values;

  private Items(int count) {
    ids = new long[count];
    indices = new int[count][];
    values = new double[count][];
  }

  static Items of(List<Row> rows) {
    Items items = new Items(rows.size());
    for (int at = 0; at < items.ids.length; at++) {
      SparseVector vector = rows.get(at).getAs("features");
      items.ids[at] = rows.get(at).<Long>getAs("item_id");
      items.indices[at] = vector.indices();
      items.values[at] = vector.values();
    }
    return items;
  }
}
