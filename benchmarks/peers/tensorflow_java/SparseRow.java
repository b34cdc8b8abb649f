package peer;

import org.apache.spark.ml.linalg.Vector;

/** A row with an MLlib vector. */
public class SparseRow {
  private long id;
  private Vector features;

  public long getId() {
    return id;
  }

  public void setId(long id) {
    this.id = id;
  }

  public Vector getFeatures() {
    return features;
  }

  public void setFeatures(Vector features) {
    this.features = features;
  }
}
