package peer;

import org.apache.spark.SparkFiles;
import org.tensorflow.SavedModelBundle;
import org.tensorflow.proto.ConfigProto;
import org.tensorflow.proto.SignatureDef;

/** The SavedModelBundle of this JVM, which the first task loads. */
final class ModelHolder {
  private static volatile SavedModelBundle bundle;

  private ModelHolder() {}

  /** Return the bundle of the model that `SparkContext.addFile` sent under this name. */
  static SavedModelBundle get(String name, Threads threads) {
    SavedModelBundle loaded = bundle;
    if (loaded == null) {
      synchronized (ModelHolder.class) {
        loaded = bundle;
        if (loaded == null) {
          bundle = loaded = load(SparkFiles.get(name), threads);
        }
      }
    }
    return loaded;
  }

  static SignatureDef signature(SavedModelBundle bundle) {
    return bundle.metaGraphDef().getSignatureDefOrThrow("serving_default");
  }

  private static SavedModelBundle load(String path, Threads threads) {
    ConfigProto config =
        ConfigProto.newBuilder()
            .setIntraOpParallelismThreads(threads.intraOp)
            .setInterOpParallelismThreads(threads.interOp)
            .build();
    return SavedModelBundle.loader(path).withTags("serve").withConfigProto(config).load();
  }
}
