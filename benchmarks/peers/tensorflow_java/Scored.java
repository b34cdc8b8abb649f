package peer;

/** A row's id and its score. */
public class Scored {
  private long id;
  private float score;

  public Scored() {}

  Scored(long id, float score) {
    this.id = id;
    this.score = score;
  }

  public long getId() {
    return id;
  }

  public void setId(long id) {
    this.id = id;
  }

  public float getScore() {
    return score;
  }

  public void setScore(float score) {
    this.score = score;
  }
}
