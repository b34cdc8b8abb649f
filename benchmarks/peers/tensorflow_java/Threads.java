package peer;

import java.io.Serializable;

/** The session's numbers of threads; 0 is TensorFlow's default, one per core. */
public final class Threads implements Serializable {
  final int intraOp;
  final int interOp;

  public Threads(int intraOp, int interOp) {
    this.intraOp = intraOp;
    this.interOp = interOp;
  }
}
