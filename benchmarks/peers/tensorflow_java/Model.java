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
  private final String[] feeds;
  private final String fetch;

  Model(String name, Threads threads, String... inputs) {
    SavedModelBundle bundle = ModelHolder.get(name, threads);
    SignatureDef signature = ModelHolder.signature(bundle);
    session = bundle.session();
    feeds = new String[inputs.length];
    for (int i = 0; i < inputs.length; i++) {
      feeds[i] = signature.getInputsOrThrow(inputs[i]).getName();
    }
    fetch = signature.getOutputsMap().values().iterator().next().getName();
  }

  /** Score `rows` rows of floats in row-major order. */
  float[] score(float[] features, int rows) {
    TFloat32 input = null;
    try {
      input = floats(features, rows, features.length / rows);
      return run(rows, input);
    } finally {
      close(input);
    }
  }

  /** Score `rows` rows of ids and values; all rows have the same length. */
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
    for (int i = 0; i < inputs.length; i++) {
      runner.feed(feeds[i], inputs[i]);
    }
    Result result = null;
    try {
      result = runner.fetch(fetch).run();
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
