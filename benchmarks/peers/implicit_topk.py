"""implicit's `recommend` on given factors: one machine, its own threads, no Spark.

All its models share `MatrixFactorizationBase.recommend`; the factors are set as in its own `load`.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from benchmarks.peer_server import serve
from benchmarks.peers.vectors import RecommenderJob, read_vectors

# implicit's documentation requires it, because its threads would compete with those of the BLAS.
os.environ["OPENBLAS_NUM_THREADS"] = "1"

# The best of 256 to 10,000 users per call; all but the smallest were equally fast.
BATCH_USERS = 1_000


class TopK(RecommenderJob):
    """Recommend to a whole table of users."""

    def recommend(self) -> tuple[Any, Any, Any]:
        import scipy.sparse
        from implicit.cpu.als import AlternatingLeastSquares

        item_ids, item_vectors = read_vectors(self.items, "item")
        user_ids, user_vectors = read_vectors(self.users, "user")
        model = AlternatingLeastSquares(factors=user_vectors.shape[1])
        model.user_factors, model.item_factors = user_vectors, item_vectors
        no_likes = scipy.sparse.csr_matrix((len(user_ids), len(item_ids)))
        batches = []
        for start in range(0, len(user_ids), BATCH_USERS):
            rows = np.arange(start, min(start + BATCH_USERS, len(user_ids)))
            batches.append(
                model.recommend(rows, no_likes[rows], self.k, filter_already_liked_items=False)
            )
        positions, scores = (np.concatenate(parts) for parts in zip(*batches, strict=True))
        return user_ids, item_ids[positions], scores


if __name__ == "__main__":
    serve(TopK)
