package peer;

import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.function.Function;

/** The scores of a partition, with one run of the model per batch of rows. */
final class Batches<T> implements Iterator<Scored> {
  private final Iterator<T> rows;
  private final int size;
  private final Function<List<T>, List<Scored>> score;
  private Iterator<Scored> scored = List.<Scored>of().iterator();

  Batches(Iterator<T> rows, int size, Function<List<T>, List<Scored>> score) {
    this.rows = rows;
    this.size = size;
    this.score = score;
  }

  @Override
  public boolean hasNext() {
    return scored.hasNext() || rows.hasNext();
  }

  @Override
  public Scored next() {
    if (!scored.hasNext()) {
      List<T> batch = new ArrayList<>(size);
      while (batch.size() < size && rows.hasNext()) {
        batch.add(rows.next());
      }
      scored = score.apply(batch).iterator();
    }
    return scored.next();
  }
}
