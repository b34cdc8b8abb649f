package peer;

import org.tensorflow.Result;
import org.tensorflow.SavedModelBundle;
import org.tensorflow.Session;
import org.tensorflow.Tensor;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.ndarray.buffer.DataBuffers;
import org.tensorflow.proto.SignatureDef;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt64;

/** The session of this JVM, with the names of the tensors that a job feeds and fetches. */
final class Model {
  private final Session session;
  private final String[] fed;
  private final String fetched;

  Model(String name, Threads threads, String... inputs) {
    SavedModelBundle bundle = ModelHolder.get(name, threads);
    SignatureDef signature = ModelHolder.signature(bundle);
    session = bundle.session();
    fed = new String[inputs.length];
    for (int at = 0; at < inputs.length; at++) {
      fed[at] = signature.getInputsOrThrow(inputs[at]).getName();
    }
    fetched = signature.getOutputsMap().values().iterator().next().getName();
  }

  /** Score `rows` rows of floats, one row after another. */
  float[] score(float[] features, int rows) {
    TFloat32 input = null;
    try {
      input = floats(features, rows, features.length / rows);
      return run(rows, input);
    } finally {
      close(input);
    }
  }

  /** Score `rows` rows of ids and values, as many in each row. */
  float[] score(long[] ids, float[] values, int rows) {
    int width = ids.length / rows;
    TInt64 first = null;
    TFloat32 second = null;
    try {
      first = TInt64.tensorOf(Shape.of(rows, width), DataBuffers.of(ids, true, false));
      second = floats(values, rows, width);
      return run(rows, first, second);
    } finally {
      close(first);
      close(second);
    }
  }

  private float[] run(int rows, Tensor... inputs) {
    Session.Runner runner = session.runner();
    for (int at = 0; at < inputs.length; at++) {
      runner.feed(fed[at], inputs[at]);
    }
    Result result = null;
    try {
      result = runner.fetch(fetched).run();
      float[] scores = new float[rows];
      result.get(0).asRawTensor().data().asFloats().read(scores);
      return scores;
    } finally {
      if (result != null) {
        result.close();
      }
    }
  }

  private static TFloat32 floats(float[] values, int rows, int width) {
    return TFloat32.tensorOf(Shape.of(rows, width), DataBuffers.of(values, true, false));
  }

  private static void close(Tensor tensor) {
    if (tensor != null) {
      tensor.close();
    }
  }
}
