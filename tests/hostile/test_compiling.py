"""Compiling, which loads a model in TensorFlow's Python, refuses and runs what scoring does."""

from __future__ import annotations

import pytest

from hostile.clean_models import CLEAN
from hostile.corpus import CORPUS
from hostile.harness import Opener

pytestmark = pytest.mark.slow
_HOSTILE = [name for name in CORPUS if name.startswith(("WriteFile-", "shape_", "oneof_"))]
_CLEAN = ["plain", "table_from_an_asset", "savers_that_nothing_runs", "variables_of_a_checkpoint"]


@pytest.mark.parametrize("name", _HOSTILE)
def test_a_hostile_model_is_refused_or_harmless(name: str, opener: Opener) -> None:
    """Nothing of it runs while it is compiled, and a package made of it scores right."""
    case = CORPUS[name]
    outcome = opener.attempt(case.write, case.options, compile_first=True)
    assert outcome.is_harmless, f"{name}: {outcome}"


@pytest.mark.parametrize("name", _CLEAN)
def test_a_clean_model_is_compiled(name: str, opener: Opener) -> None:
    """The package that is made of it scores right."""
    outcome = opener.attempt(CLEAN[name], {}, compile_first=True)
    assert outcome.ending == "right", f"{name}: {outcome}"
