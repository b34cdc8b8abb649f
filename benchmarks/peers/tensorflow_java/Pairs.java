package peer;

import org.apache.spark.ml.linalg.SparseVector;

/** A user's ids and values next to those of every item; the items' half is written once. */
final class Pairs {
  final Items items;
  long[] ids;
  float[] values;
  private int width;

  Pairs(Items items) {
    this.items = items;
  }

  /** Write the user's half of every row. */
  void put(SparseVector user) {
    int half = user.indices().length;
    if (ids == null) {
      width = half + items.indices[0].length;
      ids = new long[items.ids.length * width];
      values = new float[items.ids.length * width];
      for (int item = 0; item < items.ids.length; item++) {
        write(items.indices[item], items.values[item], item * width + half);
      }
    }
    for (int item = 0; item < items.ids.length; item++) {
      write(user.indices(), user.values(), item * width);
    }
  }

  private void write(int[] indices, double[] weights, int start) {
    for (int at = 0; at < indices.length; at++) {
      ids[start + at] = indices[at];
      values[start + at] = (float) weights[at];
    }
  }
}
