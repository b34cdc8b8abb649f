"""Opening a model and running nothing else, as `tf2spark doctor` does, is checked like scoring."""

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
    """It isn't opened, or nothing of it that is unsafe runs while it is."""
    case = CORPUS[name]
    outcome = opener.attempt(case.write, case.options, only_open=True)
    assert outcome.is_harmless, f"{name}: {outcome}"


@pytest.mark.parametrize("name", _CLEAN)
def test_a_clean_model_is_opened(name: str, opener: Opener) -> None:
    """Its init op runs, and its tables are filled from its own assets."""
    outcome = opener.attempt(CLEAN[name], {}, only_open=True)
    assert outcome.ending == "right", f"{name}: {outcome}"
