"""The names under which a model's files are stored in packages and ship to executors.

A model's author chooses the names of its files, and Spark and Python act upon names. A shipped file
lands in a folder that the driver and every Python worker of an executor have on ``sys.path``, so an
archive that is unpacked there plants modules. What acts upon which name, in Spark 3.5 to 4.3:

- ``SparkContext.addFile``, on the driver and on executors (``Utils.fetchFile``): unpacks
  ``.tar.gz``, ``.tgz`` and ``.tar`` next to the file, and makes every file executable.
- ``addArchive`` and Connect's archives (``Utils.unpack``): also ``.zip`` and ``.jar``.
- ``addJar`` and Connect's artifacts: load classes from ``.jar`` and ``.class``.
- ``addPyFile``, Connect's Python artifacts and PySpark's workers: put ``.zip``, ``.egg``, ``.jar``
  (and ``.whl``, which is a zip) on ``sys.path``, and import from ``.py``.
- Python's import system, in a folder on ``sys.path``: ``.py``, ``.pyc``, ``.so``, and ``.pth``
  where the folder is a site.
- URIs, as which Spark and Hadoop read paths: ``%``, ``#``, ``?``, ``:`` and spaces; glob patterns:
  ``*``, ``[``, ``{``; Hadoop hides what begins with ``.`` or ``_``.

So a name is kept only if its ending is on a list of endings that nothing acts upon.
"""

from __future__ import annotations

import re

_HARMLESS = re.compile(
    r"(?:[A-Za-z0-9_-]+"  # no ending at all
    r"|[\w.-]+\.(?:pb|pbtxt|index|data-[0-9]{5}-of-[0-9]{5}|bin|txt|csv|tsv|json|jsonl|vocab|dict"
    r"|model|spm|bpe|npy|arrow|parquet|tflite|tfrecord|md|file))",
    re.ASCII,
)
_MAX_LENGTH = 80
_NEUTRAL = "asset.file"


def stored_name(sha256: str, path: str) -> str:
    """Return the name of a file in a package and in transit, which nothing acts upon.

    Args:
        sha256: The SHA-256 (hex) of its content.
        path: Its path in the model.
    """
    name = path.rpartition("/")[2]
    is_harmless = len(name) <= _MAX_LENGTH and _HARMLESS.fullmatch(name)
    return f"{sha256[:16]}-{name if is_harmless else _NEUTRAL}"


def readable_names(sha256: str, path: str) -> tuple[str, ...]:
    """Return the names under which a package may have a file, the one that is written now first.

    Early packages kept every name. They are read, but don't ship under such a name.
    """
    name = stored_name(sha256, path)
    early_name = f"{sha256[:16]}-{path.rpartition('/')[2]}"
    return (name,) if early_name == name else (name, early_name)
