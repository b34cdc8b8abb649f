"""A column, or a field inside one, as code that selects it: for PySpark, SQL, pandas, pyarrow.

A path is the column's name, then the names of the fields inside it.
"""

from __future__ import annotations

import json
import re


def pyspark_column(path: tuple[str, ...]) -> str:
    """Return the PySpark for a path: ``df["user.age"]``."""
    return 'df["' + ".".join(f"`{name}`" if "." in name else name for name in path) + '"]'


def sql_column(path: tuple[str, ...]) -> str:
    """Return the SQL for a path: ``user.`zip code```."""
    return ".".join(map(sql_name, path))


def sql_name(name: str) -> str:
    """Return a name in backticks if SQL needs them."""
    return name if re.fullmatch(r"[A-Za-z_]\w*", name) else "`" + name.replace("`", "``") + "`"


def pandas_column(path: tuple[str, ...]) -> str:
    """Return the pandas for a path: ``df["user"].str["age"]``, as structs are dicts there."""
    name, *fields = map(quoted, path)
    return f"df[{name}]" + "".join(f".str[{field}]" for field in fields)


def arrow_column(path: tuple[str, ...]) -> str:
    """Return the pyarrow for a path: ``pc.struct_field(table["user"], ["age"])``."""
    name, *fields = map(quoted, path)
    column = f"table[{name}]"
    return f"pc.struct_field({column}, [{', '.join(fields)}])" if fields else column


def quoted(name: str) -> str:
    """Return text as a literal in double quotes."""
    return json.dumps(name, ensure_ascii=False)
