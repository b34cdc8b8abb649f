"""Every hostile model and package: refused or harmless, and the machine untouched."""

from __future__ import annotations

import pytest

from hostile.corpus import CORPUS
from hostile.harness import Opener

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", list(CORPUS))
def test_a_hostile_model_is_refused_or_harmless(name: str, opener: Opener) -> None:
    """It is refused by an error of tf2spark's own or scored right, in time; nothing is touched."""
    case = CORPUS[name]
    outcome = opener.attempt(case.write, case.options)
    assert outcome.is_harmless, f"{name}: {outcome}"


def test_the_corpus_is_large() -> None:
    """At least 120 models and packages, at least half of which TensorFlow would run."""
    assert len(CORPUS) >= 120
    assert sum(bool(case.attack_ops) for case in CORPUS.values()) >= 60
