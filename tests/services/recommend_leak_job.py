"""Recommends to batch after batch of users and prints the process's memory, in KiB.

Run as ``python recommend_leak_job.py BATCHES``. Users have excluded ids, to run that code too.
"""

from __future__ import annotations

import itertools
import json
import sys

import pyarrow as pa

from cases import recommenders
from cases.recommenders.running import path_of
from services.leak_job import resident_kib
from tf2spark.recommend.arguments import make_arguments
from tf2spark.runnable.model import RunnableModel
from tf2spark.runnable.recommend import prepare, ranking_request
from tf2spark.worker.model_session import session_of
from tf2spark.worker.recommend.recommend_loop import recommend_batches

_USERS, _ITEMS = 128, 1024


def main(batches: int) -> None:
    case = recommenders.case("deepfm_keras")
    users, items = case.users(_USERS), case.items(_ITEMS)
    seen = [items["item_id"].to_pylist()[first : first + 40] for first in range(_USERS)]
    users = users.append_column("seen", pa.array(seen))
    model = RunnableModel(str(path_of(case)))
    arguments = make_arguments(
        20, "user_id", "item_id", "seen", None, None, "permissive", None, None, 1e-4
    )
    request = ranking_request(model, case.feed, case.score, None)
    plan = prepare(model, users, items, request, arguments, case.score, None).plan
    batch = users.combine_chunks().to_batches()[0]
    count, early_kib = 0, 0
    session = session_of(plan.users.model)
    recommended = recommend_batches(plan, session, itertools.repeat(batch, batches))
    for number, out in enumerate(recommended, 1):
        count += out.num_rows
        if number == batches // 10:
            early_kib = resident_kib()
    print(json.dumps({"users": count, "early_kib": early_kib, "late_kib": resident_kib()}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
