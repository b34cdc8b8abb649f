"""Other ways to load a model than scoring refuse and run what scoring does.

Compiling loads it in TensorFlow's Python; `tf2spark doctor` opens it and runs nothing else.
"""

from __future__ import annotations

import pytest

from hostile.clean_models import CLEAN
from hostile.corpus import CORPUS
from hostile.harness import Opener, Way

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("way", ["compile", "open"])]
_HOSTILE = [name for name in CORPUS if name.startswith(("WriteFile-", "shape_", "oneof_"))]
_CLEAN = ["plain", "table_from_an_asset", "savers_that_nothing_runs", "variables_of_a_checkpoint"]


@pytest.mark.parametrize("name", _HOSTILE)
def test_a_hostile_model_is_refused_or_harmless(name: str, way: Way, opener: Opener) -> None:
    """Nothing of it that is unsafe runs, and a package made of it scores right."""
    case = CORPUS[name]
    outcome = opener.attempt(case.write, case.options, way)
    assert outcome.is_harmless, f"{name}: {outcome}"


@pytest.mark.parametrize("name", _CLEAN)
def test_a_clean_model_is_right(name: str, way: Way, opener: Opener) -> None:
    """A package that is made of it scores right; opened, its init op runs and fills its tables."""
    outcome = opener.attempt(CLEAN[name], {}, way)
    assert outcome.ending == "right", f"{name}: {outcome}"
