"""Every error of a test of the binding is also right on the command line."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tf2spark.errors import ContractError

# Arguments, DataFrames and functions as Python writes them.
PYTHON_SYNTAX = re.compile(
    r'\b[a-z_]+=[{\["]|\w+=\.\.\.|\bdf\[|\btable\[|\b(F|pc|pd|np|tf2spark)\.\w'
)
# Mistakes that only Python callers can make: there is no such option.
PYTHON_ONLY = (
    "can't feed an input", "is not an output", "doesn't say which", "keep must be", "padded()",
    "would both become", "literal() takes", "output(rank=", "the name of an output;",
    "fetch is empty", "assembled()", "must be a list of", "a pyarrow Table or a RecordBatch, not",
)  # fmt: skip


@pytest.fixture(autouse=True)
def no_python_syntax_on_the_command_line(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Collect every error that a test creates, and check what the command line would print."""
    errors: list[ContractError] = []
    initialize = ContractError.__init__

    def initialize_and_keep(self: ContractError, *arguments: object) -> None:
        initialize(self, *arguments)  # type: ignore[arg-type]
        errors.append(self)

    monkeypatch.setattr(ContractError, "__init__", initialize_and_keep)
    yield
    messages = [error.text_for("command_line") for error in errors]
    wrong = [
        message
        for message in messages
        if PYTHON_SYNTAX.search(message) and not any(text in message for text in PYTHON_ONLY)
    ]
    assert wrong == []
