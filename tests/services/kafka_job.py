"""A driver program: scores rows from one topic of Kafka into another.

Run as ``python kafka_job.py MODEL ADDRESS FOLDER JARS``. The last line on stdout is JSON: the rows
of the second topic, and the same rows scored without a stream.
"""

from __future__ import annotations

import json
import sys

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

import tf2spark
from cases.streams import SCHEMA

_ROWS = 200


def main(path: str, address: str, folder: str, jars: str) -> None:
    builder = SparkSession.builder.master("local[2]").config("spark.jars", jars)
    spark = builder.config("spark.ui.enabled", "false").getOrCreate()
    model = tf2spark.SavedModel(path)
    features = "transform(sequence(0, 7), n -> CAST((id * 7 + n) % 11 AS FLOAT)) AS features"
    houses = spark.range(_ROWS).selectExpr("id", features)
    write = as_messages(houses).write.format("kafka")
    write.option("kafka.bootstrap.servers", address).option("topic", "houses").save()
    messages = (
        spark.readStream.format("kafka")
        .option("kafka.bootstrap.servers", address)
        .option("subscribe", "houses")
        .option("startingOffsets", "earliest")
        .load()
    )
    house = F.from_json(F.col("value").cast("string"), SCHEMA).alias("house")
    scored = model.score(messages.select(house).select("house.*"), keep=["id"])
    query = (
        as_messages(scored)
        .writeStream.format("kafka")
        .option("kafka.bootstrap.servers", address)
        .option("topic", "prices")
        .option("checkpointLocation", f"{folder}/checkpoint")
        .trigger(availableNow=True)
        .start()
    )
    query.awaitTermination()
    topic = spark.read.format("kafka").option("kafka.bootstrap.servers", address)
    values = topic.option("subscribe", "prices").load().select(F.col("value").cast("string"))
    got = [json.loads(row["value"]) for row in values.collect()]
    want = [row.asDict() for row in model.score(houses, keep=["id"]).collect()]
    spark.stop()
    print(json.dumps({"got": got, "want": want}))


def as_messages(table: DataFrame) -> DataFrame:
    """Return rows as Kafka takes them: the id as the key, the row as JSON."""
    key = F.col("id").cast("string").alias("key")
    return table.select(key, F.to_json(F.struct("*")).alias("value"))


if __name__ == "__main__":
    main(*sys.argv[1:])
