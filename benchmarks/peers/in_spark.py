"""We, or `predict_batch_udf`, in a Spark session of our own with as many cores as are asked for."""

from __future__ import annotations

from typing import Any

from benchmarks.served import serve

NAME = "score"


class InSpark:
    """Score the dense table of the case `dense`."""

    def __init__(self, how: str, model: str, table: str, cores: int, **_: Any) -> None:
        from benchmarks.pools import start_session

        spark = start_session(cores)
        df = spark.read.parquet(table)
        self.table = _ours(df, model) if how == "tf2spark" else _theirs(df, model)

    def run(self) -> None:
        self.table.write.format("noop").mode("overwrite").save()

    def answer(self, file: str) -> None:
        import numpy as np

        arrow = self.table.toArrow()
        np.savez(file, id=arrow["id"].to_numpy(), score=arrow[NAME].to_numpy())


def _ours(df: Any, model: str) -> Any:
    from benchmarks.scoring import scored

    return scored(model, df, ["id"], fetch={NAME: "output_0"})


def _theirs(df: Any, model: str) -> Any:
    from benchmarks.peers.predict_batch_udf import dense_udf

    return df.select("id", dense_udf(model, 128)("features").alias(NAME))


if __name__ == "__main__":
    serve(InSpark)
