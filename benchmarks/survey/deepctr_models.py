"""The models of DeepCTR, as its users build them from columns of features.

All but DIEN, whose recurrent cells don't run in TensorFlow 2.14 or later.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import deepctr.models as published
from deepctr.feature_column import DenseFeat, SparseFeat, VarLenSparseFeat
from deepctr.models.multitask import ESMM, MMOE, PLE, SharedBottom

from benchmarks.survey.tables import (
    CATEGORIES,
    GENDERS,
    HISTORY,
    ITEMS,
    SESSION_LENGTH,
    SESSIONS,
    USERS,
)

_WIDTH = 4
_LAYERS = (16, 8)


def _ids(group: bool = False) -> list[Any]:
    sizes = {"user_id": USERS, "gender": GENDERS, "item_id": ITEMS, "cate_id": CATEGORIES}
    groups = {"user_id": "user", "gender": "user", "item_id": "item", "cate_id": "item"}
    return [
        SparseFeat(name, size, _WIDTH, **({"group_name": groups[name]} if group else {}))
        for name, size in sizes.items()
    ]


def _features(group: bool = False) -> list[Any]:
    history = SparseFeat("hist_item_id", ITEMS, _WIDTH, embedding_name="item_id")
    pooled = [] if group else [VarLenSparseFeat(history, HISTORY, "mean")]
    return [*_ids(group), DenseFeat("age", 1), DenseFeat("price", 1), *pooled]


def _with_histories() -> list[Any]:
    histories = [
        VarLenSparseFeat(
            SparseFeat(f"hist_{name}", size, _WIDTH, embedding_name=name),
            HISTORY,
            length_name="seq_length",
        )
        for name, size in (("item_id", ITEMS), ("cate_id", CATEGORIES))
    ]
    return [*_ids(), DenseFeat("age", 1), DenseFeat("price", 1), *histories]


def _with_sessions() -> list[Any]:
    sessions = [
        VarLenSparseFeat(
            SparseFeat(f"sess_{number}_{name}", size, _WIDTH, embedding_name=name), SESSION_LENGTH
        )
        for number in range(SESSIONS)
        for name, size in (("item_id", ITEMS), ("cate_id", CATEGORIES))
    ]
    return [*_ids(), DenseFeat("age", 1), DenseFeat("price", 1), *sessions]


def _linear_and_deep(name: str, **options: Any) -> Callable[[], Any]:
    """Return what builds a model that takes the columns of its linear and of its deep part."""
    return lambda: getattr(published, name)(_features(), _features(), **options)


_DEEP = {"dnn_hidden_units": _LAYERS}
_HISTORIES = ["item_id", "cate_id"]

MODELS: dict[str, Callable[[], Any]] = {
    "AFM": lambda: published.AFM(_ids(), _ids()),
    "AutoInt": _linear_and_deep("AutoInt", att_embedding_size=4, **_DEEP),
    "CCPM": lambda: published.CCPM(_ids(), _ids(), dnn_hidden_units=_LAYERS),
    "DCN": _linear_and_deep("DCN", cross_num=2, **_DEEP),
    "DCN matrix": _linear_and_deep("DCN", cross_parameterization="matrix", **_DEEP),
    "DCNMix": _linear_and_deep("DCNMix", low_rank=4, **_DEEP),
    "DeepFM": _linear_and_deep("DeepFM", **_DEEP),
    "DeepFEFM": _linear_and_deep("DeepFEFM", **_DEEP),
    "DIFM": _linear_and_deep("DIFM", att_embedding_size=4, **_DEEP),
    "EDCN": lambda: published.EDCN(_ids(), _ids(), cross_num=2),
    "FGCNN": lambda: published.FGCNN(
        _ids(), _ids(), (4, 4), (2, 2), (2, 2), (2, 2), dnn_hidden_units=_LAYERS
    ),
    "FiBiNET": _linear_and_deep("FiBiNET", **_DEEP),
    "FLEN": lambda: published.FLEN(_features(group=True), _features(group=True), **_DEEP),
    "FNN": _linear_and_deep("FNN", **_DEEP),
    "FwFM": _linear_and_deep("FwFM", **_DEEP),
    "IFM": _linear_and_deep("IFM", **_DEEP),
    "MLR": lambda: published.MLR(_features()),
    "NFM": _linear_and_deep("NFM", **_DEEP),
    "ONN": lambda: published.ONN(_ids(), _ids(), dnn_hidden_units=_LAYERS),
    "PNN inner": lambda: published.PNN(_features(), _LAYERS),
    "PNN outer": lambda: published.PNN(
        _features(), _LAYERS, use_inner=False, use_outter=True, kernel_type="vec"
    ),
    "WDL": _linear_and_deep("WDL", **_DEEP),
    "xDeepFM": _linear_and_deep("xDeepFM", cin_layer_size=(8, 8), **_DEEP),
    "DIN": lambda: published.DIN(_with_histories(), _HISTORIES, dnn_hidden_units=_LAYERS),
    "BST": lambda: published.BST(
        _with_histories(), _HISTORIES, att_head_num=2, dnn_hidden_units=_LAYERS
    ),
    "DSIN": lambda: published.DSIN(
        _with_sessions(),
        _HISTORIES,
        SESSIONS,
        att_embedding_size=4,
        att_head_num=2,
        dnn_hidden_units=_LAYERS,
    ),
    "MMOE": lambda: MMOE(_features()),
    "PLE": lambda: PLE(_features()),
    "ESMM": lambda: ESMM(_features()),
    "SharedBottom": lambda: SharedBottom(_features()),
}
