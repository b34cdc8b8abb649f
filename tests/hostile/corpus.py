"""The corpus: every hostile model and package, by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import cycle
from pathlib import Path
from typing import Any

from attrs import Factory, frozen

# Importing these registers their attacks, places and tricks.
from hostile import checkpoint_tricks as checkpoint_tricks
from hostile import encoding_tricks as encoding_tricks
from hostile import endless_graphs as endless_graphs
from hostile import file_tricks as file_tricks
from hostile import import_tricks as import_tricks
from hostile import malformed_graphs as malformed_graphs
from hostile import package_tricks as package_tricks
from hostile import path_tricks as path_tricks
from hostile import places_in_datasets as places_in_datasets
from hostile import places_in_functions as places_in_functions
from hostile import program_tricks as program_tricks
from hostile import reaching_attacks as reaching_attacks
from hostile import reading_attacks as reading_attacks
from hostile import writing_attacks as writing_attacks
from hostile.attacks import ATTACKS, Attack, Targets
from hostile.harness import Write
from hostile.hiding_places import PLACES, Place
from hostile.tricks import TRICKS

# Every place hides each of these: one op with a side effect, one that is a pure function of a file.
_EVERYWHERE = ("WriteFile", "ReadFile")


@frozen
class Case:
    """A hostile model.

    Attributes:
        write: Writes it to a folder that doesn't exist yet, and returns the path to open.
        options: Arguments of `SavedModel`.
        attack_ops: The ops to allow so that the attack succeeds, where the harness can see it.
    """

    write: Write
    options: Mapping[str, Any] = Factory(dict)
    attack_ops: tuple[str, ...] = ()


def _hidden(attack: Attack, place: Place) -> Case:
    def write(folder: Path, targets: Targets) -> Path:
        return place.hide(attack, targets).write(folder)

    return Case(write, attack_ops=tuple(attack.ops) if attack.is_live and place.is_live else ())


def _cases() -> Iterator[tuple[str, Case]]:
    for name, attack in ATTACKS.items():
        yield f"{name}-control_edge", _hidden(attack, PLACES["control_edge"])
    # All combinations would be thousands, so each attack gets one more place in turn.
    places = cycle(sorted(PLACES))
    for name, attack in ATTACKS.items():
        place = next(places)
        yield f"{name}-{place}", _hidden(attack, PLACES[place])
    for name in _EVERYWHERE:
        for place in PLACES:
            yield f"{name}-{place}", _hidden(ATTACKS[name], PLACES[place])
    for name, hostile in TRICKS.items():
        yield name, Case(hostile.write, hostile.options)


CORPUS: dict[str, Case] = dict(_cases())
"""Every case by the name of its test."""
