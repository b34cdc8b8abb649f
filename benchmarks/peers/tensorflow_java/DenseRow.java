package peer;

/** A row with an array of floats; as a bean, because Spark then passes a `float[]`. */
public class DenseRow {
  private long id;
  private float[] features;

  public long getId() {
    return id;
  }

  public void setId(long id) {
    this.id = id;
  }

  public float[] getFeatures() {
    return features;
  }

  public void setFeatures(float[] features) {
    this.features = features;
  }
}
