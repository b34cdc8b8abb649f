"""What Params take."""

from __future__ import annotations

import pytest

from tf2spark.errors import ContractError
from tf2spark.ml.param_values import names


def test_a_name_alone_is_not_a_list_of_names() -> None:
    """Its letters would count as names."""
    with pytest.raises(ContractError, match=r"'id' is not a list of names"):
        names("id")
