"""MLflow's client, and its errors as ours: what was asked, of which server, and what to do.

The server is the one that the user configured for MLflow (``mlflow.set_tracking_uri``,
``MLFLOW_TRACKING_URI``, and the same for the registry), with MLflow's own credentials.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from tf2spark.errors import ModelNotFoundError, SetupError, StorageError, Tf2SparkError, first_line
from tf2spark.shown_text import redact

# MLflow's defaults wait for minutes for a server that isn't there.
_PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "30"}
# What the errors of downloads say, which have no code.
_NO_FILES = re.compile(
    r"\berror code 404\b|404 Client Error|No such artifact|No such file or directory|NoSuchKey"
)
# MLflow knows these URIs only where SQLAlchemy is installed, which mlflow-skinny doesn't need.
_NO_DATABASES = re.compile(r"unsupported URI '(sqlite|mysql|postgresql|mssql)[+:]")
_MISSING = ("RESOURCE_DOES_NOT_EXIST", "NOT_FOUND")
_REFUSED = ("PERMISSION_DENIED", "UNAUTHENTICATED", "CUSTOMER_UNAUTHORIZED")


def need_mlflow() -> Any:
    """Return the package `mlflow`.

    Raises:
        SetupError: It isn't installed, or can't be imported.
    """
    try:
        import mlflow
        import mlflow.artifacts
    except ImportError as error:
        raise SetupError(
            f"MLflow can't be imported ({first_line(error)}), and only it reads models:/, runs:/ "
            "and mlflow-artifacts:/",
            "pip install mlflow-skinny (or mlflow, for a tracking store without a server)",
        ) from None
    return mlflow


def connect() -> Any:
    """Return a client of the tracking server and the registry that the user configured.

    Raises:
        SetupError: MLflow isn't installed, needs another package, or nothing is configured.
    """
    mlflow = need_mlflow()
    tracking = str(mlflow.get_tracking_uri())
    if not mlflow.is_tracking_uri_set() and _is_missing_store(tracking):
        raise SetupError(
            "MLflow has no tracking server: none is configured, and its default, "
            f'"{tracking}", isn\'t there',
            'mlflow.set_tracking_uri("http://HOST:5000"), or MLFLOW_TRACKING_URI in the '
            "environment, says where models are registered",
        )
    with server_errors("models"):
        return mlflow.MlflowClient()


def _is_missing_store(tracking: str) -> bool:
    """Say whether a tracking URI is a database or folder of this machine that doesn't exist."""
    path = re.sub(r"^(sqlite:///|file:(//)?)", "", tracking)
    is_local = "://" not in path and path not in ("databricks", "databricks-uc")
    return is_local and not Path(path).exists()


def check_server() -> None:
    """Ask the tracking server for something, so that one that isn't there is found early.

    Raises:
        SetupError: MLflow isn't installed, or needs another package.
        StorageError: The server can't be reached, or refuses.
    """
    mlflow = need_mlflow()
    with server_errors("the experiments"):
        client = mlflow.MlflowClient()
        if mlflow.is_tracking_uri_set():
            client.search_experiments(max_results=1)


def server(*, registry: bool = False) -> str:
    """Name the tracking server or the registry for messages, without its password."""
    mlflow = need_mlflow()
    uri = mlflow.get_registry_uri() if registry else mlflow.get_tracking_uri()
    return redact(f"MLflow at {uri}")


def is_missing(error: BaseException) -> bool:
    """Say whether MLflow's server answered that it has no such thing."""
    return getattr(error, "error_code", None) in _MISSING


@contextmanager
def server_errors(asked: str, *, registry: bool = False, files: bool = False) -> Iterator[None]:
    """Raise MLflow's exceptions in a block as ours.

    Args:
        asked: What was asked for, as the message names it.
        registry: The registry was asked, which may be another server than the tracking server.
        files: Files were asked for, which may take long.

    Raises:
        ModelNotFoundError: The server has no such thing.
        StorageError: The server or the artifact store can't be reached, or refuses.
        SetupError: A package is missing that MLflow needs for this server or store.
    """
    mlflow = need_mlflow()
    where = server(registry=registry)
    try:
        with nullcontext() if files else _little_patience():
            yield
    except Tf2SparkError:  # some are OSErrors too
        raise
    except ImportError as error:
        raise SetupError(
            f"{where} can't be asked for {asked}: MLflow needs a package that isn't installed "
            f"({first_line(error)})",
            f"pip install {_package(error)}",
        ) from None
    except Exception as error:  # MLflow's own, and those of the libraries by which it reads stores
        if files and _NO_FILES.search(str(error)):
            raise ModelNotFoundError(f"{where} has no {asked}") from None
        if isinstance(error, mlflow.MlflowException):
            raise _translated(asked, error, where) from None
        raise _unreachable(asked, error, where) from None


@contextmanager
def _little_patience() -> Iterator[None]:
    """Have MLflow give up on a dead server within seconds, unless the user says otherwise."""
    added = {name: value for name, value in _PATIENCE.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


def _translated(asked: str, error: Any, where: str) -> Exception:
    text = redact(first_line(error))
    if is_missing(error):
        return ModelNotFoundError(f"{where} has no {asked}")
    if error.error_code in _REFUSED:
        return StorageError(
            f"{where} refuses access to {asked}: {text}",
            "set the credentials of MLflow: MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and "
            "MLFLOW_TRACKING_PASSWORD",
        )
    if _NO_DATABASES.search(text):
        return SetupError(
            f"{where} can't be asked for {asked}: mlflow-skinny alone opens no database",
            'pip install mlflow, or name a server: mlflow.set_tracking_uri("http://HOST:5000")',
        )
    if "failed with exception" in text:
        return _unreachable(asked, error, where)
    if error.error_code == "ENDPOINT_NOT_FOUND":
        return StorageError(
            f"{where} doesn't answer as MLflow does when it is asked for {asked}: "
            + text.partition(" Response body")[0],
            "check the address, and the version of the server: models:/MODEL_ID needs MLflow 3",
        )
    return StorageError(f"{where} doesn't give {asked}: {text}")


def _unreachable(asked: str, error: BaseException, where: str) -> StorageError:
    # "API request to URL failed with exception HTTPConnectionPool(...): Max retries exceeded with
    # url: ... (Caused by NewConnectionError("...: [Errno 111] Connection refused"))"
    text = redact(first_line(error))
    cause = re.search(r"\[Errno -?\d+\] ([^'\")]+)|(timed out)|(certificate[^'\")]*)", text)
    reason = next(filter(None, cause.groups())) if cause else text
    return StorageError(
        f"{where} can't be reached for {asked}: {reason}",
        "check the address that mlflow.set_tracking_uri or MLFLOW_TRACKING_URI sets, and that the "
        "server runs",
    )


def _package(error: ImportError) -> str:
    """Return what pip calls the package that MLflow couldn't import."""
    name = (error.name or "").partition(".")[0]
    return {"sqlalchemy": "mlflow", "alembic": "mlflow", "": "mlflow"}.get(name, name)
