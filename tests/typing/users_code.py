"""What users of tf2spark write; never run, only looked at by type checkers.

A line that ends in ``# wrong`` must be flagged by each of them, every other line by none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import assert_type

import numpy as np
import pandas as pd
import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession

import tf2spark
from tf2spark import SavedModel


def spark(model: SavedModel, df: DataFrame, session: SparkSession) -> None:
    assert_type(model.score(df), DataFrame)
    model.score(df, keep=["id"], mode="permissive", read="worker").show()
    model.score(session.readStream.parquet("in")).writeStream.start()
    assert_type(model.recommend(df, df, k=5, exclude="seen"), DataFrame)
    model.recommend(df, df).write.parquet("out")
    print(model.plan(df, df).items)
    scores: Column = model.udf(feed={"x": "features"})("features")
    df.select(scores)
    model.register(session, "ctr", mode="permissive")


def wrong_spark(model: SavedModel, df: DataFrame, session: SparkSession) -> None:
    model.score(df).shwo()  # wrong
    model.score(df, mode="permisive")  # wrong
    model.score(df, read="files")  # wrong
    model.score(5)  # wrong
    model.score([1.0, 2.0])  # wrong
    model.score("table")  # wrong
    model.score(df, keeep=["id"])  # wrong
    model.score(df, batch_rows="many")  # wrong
    model.recommend(df)  # wrong
    model.recommend(df, 5)  # wrong
    model.recommend(df, df, mode="drop")  # wrong
    model.recommend(df, df).head().nme()  # wrong
    model.udf(mode="fast")  # wrong
    model.register("ctr", session)  # wrong
    model.prepared(df, df)  # wrong


def pandas(model: SavedModel, frame: pd.DataFrame) -> None:
    assert_type(model.score(frame), pd.DataFrame)
    model.score(frame, reproducible=True).head()
    assert_type(model.recommend(frame, frame), pd.DataFrame)
    model.compile("package", sample=frame, overwrite=True).score(frame)


def pyarrow(model: SavedModel, table: pa.Table, batch: pa.RecordBatch) -> None:
    print(model.score(table).num_rows, model.score(batch).num_rows)
    model.recommend(table, batch)
    model.compile("package", sample=table)


def wrong_samples(model: SavedModel, df: DataFrame) -> None:
    model.compile("package", sample=df)  # wrong
    model.compile("package", sample=3)  # wrong


def feeds(
    model: SavedModel, df: DataFrame, names: Sequence[str], by_name: Mapping[str, str]
) -> None:
    model.score(df, feed={"x": "features.values", "ids": ["a", "b"], "keep_prob": 1.0})
    model.score(df, feed={"n": 1, "training": False, "rate": np.float32(0.5)})
    model.score(df, feed={"lang": tf2spark.literal("en"), "ids": tf2spark.padded("ids", 0)})
    model.score(df, feed={"v": tf2spark.assembled("a", "b").indices, "many": names})
    model.score(df, feed=by_name, fetch=by_name)
    model.score(df, fetch="score")
    model.score(df, fetch=["score", tf2spark.binary("raw")])
    model.score(df, fetch={"p": "y:0", "q": tf2spark.output("z", rank=2)})


def wrong_feeds(model: SavedModel, df: DataFrame) -> None:
    model.score(df, feed="features")  # wrong
    model.score(df, feed={"x": {"y": 1}})  # wrong
    model.score(df, feed={1: "x"})  # wrong
    model.score(df, fetch=5)  # wrong
    tf2spark.padded("ids")  # wrong
    tf2spark.assembled(["a", "b"])  # wrong
    tf2spark.padded("ids", [0])  # wrong


def models() -> None:
    SavedModel("hdfs:///models/ctr", version=3, tags=["serve"], allow_ops={"PyFunc"})
    print(SavedModel("ctr").contract.signatures[0].inputs[0].name)
    assert_type(tf2spark.compile_model("ctr.keras", "ctr.tf2spark", overwrite=True), SavedModel)
    tf2spark.compile_model(5, "ctr.tf2spark")  # wrong
    SavedModel()  # wrong
    SavedModel("ctr", version=3.5)  # wrong
    SavedModel("ctr").contract = 1  # wrong
