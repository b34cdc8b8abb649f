"""`recommend` on tables whose columns Spark doesn't tell, on Spark."""

from __future__ import annotations

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

import tf2spark
from cases.frames import frame
from cases.recommenders import case, path_of
from tf2spark.errors import ContractError, from_spark
from tf2spark.recommend.arguments import make_arguments
from tf2spark.runnable.recommend import pair_model, ranking_request
from tf2spark.spark.late_binding.recommendations import recommend_unresolved


@pytest.mark.spark
def test_items_with_other_ids_in_each_read_are_refused(spark: SparkSession) -> None:
    """No item gets another one's id. Spark's own uuid() would have one seed for both reads."""
    ranker = case("wide_and_deep")
    runnable = tf2spark.SavedModel(path_of(ranker))._runnable
    request = ranking_request(runnable, None, None, None)
    model = pair_model(runnable, request, None, None)
    arguments = make_arguments(3, "user_id", "item_id", None, None, ["user_id"], "failfast")
    random_id = F.reflect(F.lit("java.util.UUID"), F.lit("randomUUID"))
    items = frame(spark, ranker.items(9), 1).withColumn("item_id", random_id)
    users = frame(spark, ranker.users(5), 1)
    best = recommend_unresolved(users, items, model, request, arguments)
    with pytest.raises(ContractError, match=r"other ids \("), from_spark():
        best.collect()
