"""tf2spark or `predict_batch_udf` in a Spark session of its own with a given number of cores."""

from __future__ import annotations

from typing import Any

from benchmarks.peer_server import serve

NAME = "score"


class InSpark:
    """Score the dense table of the case `dense`."""

    def __init__(self, scorer: str, model: str, table: str, cores: int, **_: Any) -> None:
        from benchmarks.pools import start_session

        spark = start_session(cores)
        df = spark.read.parquet(table)
        self.table = _ours(df, model) if scorer == "tf2spark" else _theirs(df, model)

    def run(self) -> None:
        self.table.write.format("noop").mode("overwrite").save()

    def answer(self, file: str) -> None:
        import numpy as np

        arrow = self.table.toArrow()
        np.savez(file, id=arrow["id"].to_numpy(), score=arrow[NAME].to_numpy())


def _ours(df: Any, model: str) -> Any:
    from benchmarks.scoring import score_table

    return score_table(model, df, ["id"], fetch={NAME: "output_0"})


def _theirs(df: Any, model: str) -> Any:
    from benchmarks.peers.predict_batch_udf import dense_udf

    return df.select("id", dense_udf(model, 128)("features").alias(NAME))


if __name__ == "__main__":
    serve(InSpark)
