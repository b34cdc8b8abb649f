"""Calls `recommend` again and again with new catalogs, and prints what each tenth call leaves.

Run as ``python recommend_calls_job.py CALLS``. Every fifth call opens the model anew, as a notebook
does.
"""

from __future__ import annotations

import gc
import json
import sys

import tf2spark
from cases import recommenders
from cases.recommenders.running import path_of
from services.leak_job import resident_kib
from tf2spark.package.staging import staging_folder
from tf2spark.tensorflow_c.session import CApiSession


def main(calls: int) -> None:
    case = recommenders.case("deepfm_keras")
    users, items = case.users(4), case.items(200 + calls)
    path = path_of(case)
    left = []
    for call in range(1, calls + 1):
        if call % 5 == 1:
            model = tf2spark.SavedModel(path)
        best = model.recommend(users, items.slice(call, 200), 5, feed=case.feed, score=case.score)
        assert best.num_rows == 4
        if call % 10 == 0:
            left.append(left_behind())
    print(json.dumps(left))


def left_behind() -> dict[str, int]:
    gc.collect()
    sessions = [value for value in gc.get_objects() if isinstance(value, CApiSession)]
    return {
        "kib": resident_kib(),
        "sessions": len(sessions),
        "folders": sum(path.is_dir() for path in staging_folder().rglob("*")),
    }


if __name__ == "__main__":
    main(int(sys.argv[1]))
