package peer;

import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.PriorityQueue;
import java.util.stream.StreamSupport;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.api.java.function.MapPartitionsFunction;
import org.apache.spark.broadcast.Broadcast;
import org.apache.spark.ml.linalg.SparseVector;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Encoders;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.RowFactory;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructType;
import scala.jdk.javaapi.CollectionConverters;

/** One user x all items per run: the user's ids and values next to every item's; keeps the best k. */
public final class Recommend {
  private static final StructType RECOMMENDED =
      new StructType()
          .add("user_id", DataTypes.LongType)
          .add(
              "recommendations",
              DataTypes.createArrayType(
                  new StructType()
                      .add("item_id", DataTypes.LongType)
                      .add("score", DataTypes.FloatType)));

  private Recommend() {}

  /** Recommend `k` items to each user; `users` and `items` have an id and a vector. */
  public static Dataset<Row> best(
      Dataset<Row> users, Dataset<Row> items, String model, Threads threads, int k) {
    Broadcast<Items> shared =
        JavaSparkContext.fromSparkContext(users.sparkSession().sparkContext())
            .broadcast(Items.of(items.collectAsList()));
    MapPartitionsFunction<Row, Row> recommend =
        rows -> {
          Model loaded = new Model(model, threads, "feat_ids", "feat_vals");
          Pairs pairs = new Pairs(shared.value());
          Iterable<Row> all = () -> rows;
          return StreamSupport.stream(all.spliterator(), false)
              .map(user -> best(loaded, pairs, user, k))
              .iterator();
        };
    return users.mapPartitions(recommend, Encoders.row(RECOMMENDED));
  }

  private static Row best(Model model, Pairs pairs, Row user, int k) {
    pairs.put((SparseVector) user.getAs("features"));
    float[] scores = model.score(pairs.ids, pairs.values, pairs.items.ids.length);
    List<Row> top = top(pairs.items.ids, scores, k);
    return RowFactory.create(user.getAs("user_id"), CollectionConverters.asScala(top));
  }

  /** Keep the best in a heap whose head is the worst of them; ties go to the smaller id. */
  private static List<Row> top(long[] ids, float[] scores, int k) {
    Comparator<Integer> worstFirst =
        (left, right) -> {
          int byScore = Float.compare(scores[left], scores[right]);
          return byScore != 0 ? byScore : Long.compare(ids[right], ids[left]);
        };
    PriorityQueue<Integer> heap = new PriorityQueue<>(k, worstFirst);
    for (int at = 0; at < scores.length; at++) {
      if (heap.size() < k) {
        heap.add(at);
      } else if (scores[at] >= scores[heap.peek()] && worstFirst.compare(at, heap.peek()) > 0) {
        heap.poll();
        heap.add(at);
      }
    }
    Row[] best = new Row[heap.size()];
    for (int rank = best.length - 1; rank >= 0; rank--) {
      int at = heap.poll();
      best[rank] = RowFactory.create(ids[at], scores[at]);
    }
    return Arrays.asList(best);
  }
}
