"""implicit's `recommend` on factors that are given: one machine, its own threads, no Spark.

`MatrixFactorizationBase.recommend` is what its models share; the factors are set as its own
`load` sets them.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from benchmarks.peers.vectors import Recommender, read_vectors
from benchmarks.served import serve

# implicit's documentation asks for it: its own threads would fight with those of the BLAS.
os.environ["OPENBLAS_NUM_THREADS"] = "1"

# Of 256 to 10,000 users a call, tried: all the same but for the smallest.
USERS = 1_000


class TopK(Recommender):
    """Recommend to a whole table of users."""

    def recommended(self) -> tuple[Any, Any, Any]:
        import scipy.sparse
        from implicit.cpu.als import AlternatingLeastSquares

        item_ids, item_vectors = read_vectors(self.items, "item")
        user_ids, user_vectors = read_vectors(self.users, "user")
        model = AlternatingLeastSquares(factors=user_vectors.shape[1])
        model.user_factors, model.item_factors = user_vectors, item_vectors
        nothing = scipy.sparse.csr_matrix((len(user_ids), len(item_ids)))
        found = []
        for start in range(0, len(user_ids), USERS):
            rows = np.arange(start, min(start + USERS, len(user_ids)))
            found.append(
                model.recommend(rows, nothing[rows], self.k, filter_already_liked_items=False)
            )
        places, scores = (np.concatenate(each) for each in zip(*found, strict=True))
        return user_ids, item_ids[places], scores


if __name__ == "__main__":
    serve(TopK)
