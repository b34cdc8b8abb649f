"""Makes attrs importable on executors that don't have it, where tf2spark was shipped.

tf2spark needs attrs besides TensorFlow, NumPy and Arrow. The zip in which `spark.shipping` ships
tf2spark contains a copy of it. The copy is appended to the search path, so that it never takes
precedence over the executor's own.
"""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec

FOLDER = "needs"
"""The folder of these packages in the zip."""

if ".zip" in __file__ and find_spec("attrs") is None:
    sys.path.append(os.path.join(os.path.dirname(os.path.dirname(__file__)), FOLDER))
