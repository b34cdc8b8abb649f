"""What tf2spark needs besides TensorFlow, NumPy and Arrow, where it was shipped with a job.

Executors have their own Python, which may lack attrs; the zip that tf2spark travels in brings one
(`spark.shipping`). It is looked at last, so that it never takes the place of the executor's own.
"""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec

FOLDER = "needs"

if ".zip" in __file__ and find_spec("attrs") is None:
    sys.path.append(os.path.join(os.path.dirname(os.path.dirname(__file__)), FOLDER))
