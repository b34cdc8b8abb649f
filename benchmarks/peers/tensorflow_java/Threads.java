package peer;

import java.io.Serializable;

/** How many threads the session has; 0 is TensorFlow's own choice, as many as there are cores. */
public final class Threads implements Serializable {
  final int intraOp;
  final int interOp;

  public Threads(int intraOp, int interOp) {
    this.intraOp = intraOp;
    this.interOp = interOp;
  }
}
