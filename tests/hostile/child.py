"""A process that opens models for the harness: it may hang, crash, or be taken over.

It takes a JSON object per line from its standard input (the folder, and arguments of `SavedModel`),
and answers with another: how it ended, the scores or the message, and what people see of the model.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
from typing import Any

_MEMORY_BYTES = 8 << 30
_SHOWN = 4000


def _scores(model: Any) -> dict[str, list[Any]]:
    import pandas as pd

    table = pd.DataFrame({"x": [1.0, 2.0], "s": ["a", "b"]}).astype({"x": "float32"})
    scored = model.score(table).drop(columns=["x", "s"])
    return {
        str(name): [value.tolist() if hasattr(value, "tolist") else value for value in scored[name]]
        for name in scored
    }


def _open(model: Any) -> None:
    """Open a model as `tf2spark doctor` has the workers do, and run nothing else."""
    from tf2spark.locations.fetch import fetch_to_this_machine
    from tf2spark.worker.model_session import session_of

    session_of(fetch_to_this_machine(model._runnable.reference_to_open()))


def _answer(request: dict[str, Any]) -> dict[str, str]:
    """Return how a request ended, its scores or the message, and what people see of the model."""
    import tf2spark
    from tf2spark.errors import Tf2SparkError

    shown = {"text": "", "html": ""}
    try:
        model = tf2spark.SavedModel(request["path"], **request["options"])
        shown = {"text": f"{model!r} {model.contract}", "html": model.contract._repr_html_()}
        with tempfile.TemporaryDirectory() as folder:
            if request["way"] == "compile":
                model = model.compile(f"{folder}/package")
            if request["way"] == "open":
                _open(model)
                ending, result = "right", ""
            else:
                ending, result = "scored", json.dumps(_scores(model), default=repr)
    except Tf2SparkError as error:
        ending, result = "refused", f"{type(error).__name__}: {error}"
    except BaseException as error:
        ending, result = "raw", f"{type(error).__name__}: {error}"
    return {"ending": ending, "result": result[:_SHOWN], **shown}


def main() -> None:
    """Answer requests until the input ends."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Whatever libraries print must not be mistaken for an answer.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", errors="backslashreplace")
    os.dup2(2, 1)
    for line in sys.stdin:
        print(json.dumps(_answer(json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    main()
