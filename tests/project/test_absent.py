"""A name of torch that is not here raises AttributeError with what to use instead."""

from __future__ import annotations

import pytest

import torchish_mlx
from torchish_mlx._absent import INSTEAD


@pytest.mark.parametrize("name", sorted(INSTEAD))
def test_what_to_use_instead(name):
    module, _, last = name.rpartition(".")
    where = torchish_mlx.nn.functional if module else torchish_mlx
    with pytest.raises(AttributeError, match=f"no attribute '{last}': .*[a-z]"):
        getattr(where, last)


def test_other_names():
    assert not hasattr(torchish_mlx, "no_such_name")
    with pytest.raises(AttributeError, match=r"module 'torchish_mlx' has no attribute 'no_such_name'$"):
        torchish_mlx.no_such_name
    with pytest.raises(ImportError, match="no_such_name"):
        exec("from torchish_mlx import no_such_name")
