"""A driver program: runs the code about Kafka in docs/streams.md, from one topic into another.

Run as ``python kafka_job.py MODEL ADDRESS FOLDER JARS``. The last line on stdout is JSON: what was
scored, without a stream, and the messages of the second topic.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

import tf2spark

_PAGE = Path(__file__).parents[2] / "docs" / "streams.md"
_ROWS = 200


def main(path: str, address: str, folder: str, jars: str) -> None:
    builder = SparkSession.builder.master("local[2]").config("spark.jars", jars)
    spark = builder.config("spark.ui.enabled", "false").getOrCreate()
    model = tf2spark.SavedModel(path)
    features = "transform(sequence(0, 7), n -> CAST((id * 7 + n) % 11 AS FLOAT)) AS features"
    houses = spark.range(_ROWS).selectExpr("id", features)
    produce(houses.select(F.to_json(F.struct("*")).alias("value")), address)
    produce(spark.createDataFrame([("no JSON",)], "value string"), address)
    exec(page_code(address, folder), {"spark": spark, "model": model})
    topic = spark.read.format("kafka").option("kafka.bootstrap.servers", address)
    messages = topic.option("subscribe", "prices").load().selectExpr("string(key)", "string(value)")
    expected: Any = model.score(houses, keep=["id"], fetch={"price": "output_0"}).collect()
    report = {
        "messages": [(row["key"], json.loads(row["value"])) for row in messages.collect()],
        "expected": dict(expected),
    }
    spark.stop()
    print(json.dumps(report))


def produce(values: DataFrame, address: str) -> None:
    """Write messages into the topic that the page reads."""
    writer = values.write.format("kafka").option("kafka.bootstrap.servers", address)
    writer.option("topic", "houses").save()


def page_code(address: str, folder: str) -> str:
    """Return the page's block about Kafka, for this broker and this folder."""
    blocks = re.findall(r"```python\n(.*?)```", _PAGE.read_text(), re.DOTALL)
    (code,) = [block for block in blocks if 'format("kafka")' in block]
    return str(code).replace("HOST:9092", address).replace("checkpoints/", f"{folder}/")


if __name__ == "__main__":
    main(*sys.argv[1:])
