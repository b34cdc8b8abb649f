"""Good models that look like attacks: all are scored."""

from __future__ import annotations

import pytest

from hostile.clean_models import CLEAN
from hostile.harness import Opener

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", CLEAN)
def test_a_clean_model_is_scored(name: str, opener: Opener) -> None:
    """Nothing is refused that only computes, wherever it stands."""
    outcome = opener.attempt(CLEAN[name], {})
    assert outcome.ending == "right", f"{name}: {outcome}"
    assert not outcome.harm, f"{name}: {outcome}"


def test_there_are_many_clean_models() -> None:
    """At least 20, so that a check that refuses everything fails."""
    assert len(CLEAN) >= 20
