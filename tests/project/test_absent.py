"""A name of torch that is not here raises AttributeError, which says what to use instead or that it is not here yet."""

from __future__ import annotations

import copy
import importlib
import pickle
import pkgutil
import re
import subprocess
import sys

import pytest

import torchish_mlx
from torchish_mlx._absent import PAGE, table

TENSOR = torchish_mlx.ones(2)
WHERE = {
    section: TENSOR if section == "torch.Tensor" else importlib.import_module("torchish_mlx" + section[5:])
    for section in table()
}
ABSENT = [
    (section, name)
    for section, names in table().items()
    for name in names
    if not hasattr(torchish_mlx.Tensor if section == "torch.Tensor" else WHERE[section], name)
]


@pytest.mark.parametrize("section", table())
def test_what_to_use_instead(section):
    missing = [name for of, name in ABSENT if of == section]
    for name in missing:
        with pytest.raises(AttributeError, match=f"has no attribute '{name}': .*[a-z]") as raised:
            getattr(WHERE[section], name)
        advice = table()[section][name]
        assert str(raised.value).endswith(advice or f"torch has it, and it is not here yet ({PAGE} lists what is not)")
        assert "{" not in advice


@pytest.mark.parametrize("section", table())
def test_no_advice_for_what_is_here(section):
    absent = {name for of, name in ABSENT if of == section}
    assert [name for name, advice in table()[section].items() if advice and name not in absent] == []


def test_what_the_advice_names_is_there():
    named = {
        name
        for names in table().values()
        for advice in names.values()
        for name in re.findall(r"\b(?:mlx|torchish_mlx)\.(?!launch)\w[\w.]*\w", advice)
    }
    assert len(named) > 20
    unknown = []
    for name in named:
        try:
            pkgutil.resolve_name(name)
        except (ImportError, AttributeError):
            unknown.append(name)
    assert unknown == []


def test_there_are_names_of_each_kind():
    """Otherwise the test above says nothing."""
    assert ("torch", "linalg") in ABSENT
    assert ("torch.Tensor", "storage_type") in ABSENT
    assert sum(bool(table()[section][name]) for section, name in ABSENT) > 200
    assert sum(not table()[section][name] for section, name in ABSENT) > 200


def test_other_names():
    assert not hasattr(torchish_mlx, "no_such_name")
    with pytest.raises(AttributeError, match=r"module 'torchish_mlx' has no attribute 'no_such_name'$") as raised:
        torchish_mlx.no_such_name
    assert (raised.value.name, raised.value.obj) == ("no_such_name", torchish_mlx)
    with pytest.raises(AttributeError, match=r"'Tensor' object has no attribute 'no_such_name'$") as raised:
        TENSOR.no_such_name
    assert raised.value.obj is TENSOR
    with pytest.raises(ImportError, match="no_such_name"):
        exec("from torchish_mlx import no_such_name")


def test_python_suggests_a_name_that_is_spelled_alike():
    program = "import torchish_mlx\ntorchish_mlx.ones(2).sqeeze()"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "Did you mean: 'squeeze'?" in run.stderr


def test_other_attributes_do_not_take_longer():
    """A class with ``__getattr__`` has slower attributes: an addition took a tenth longer."""
    assert not hasattr(torchish_mlx.Tensor, "__getattr__")
    with pytest.raises(AttributeError, match="type object 'Tensor' has no attribute 'storage_type'"):
        torchish_mlx.Tensor.storage_type


def test_the_error_of_a_property_is_seen():
    class Faulty(torchish_mlx.Tensor):
        @property
        def half_done(self):
            return None.shape

    with pytest.raises(AttributeError, match="'NoneType' object has no attribute 'shape'"):
        Faulty([1.0]).half_done


def test_a_tensor_is_copied_and_pickled():
    """Both look for methods that are not there before anything else is."""
    assert copy.deepcopy(TENSOR).tolist() == [1, 1]
    assert pickle.loads(pickle.dumps(TENSOR)).tolist() == [1, 1]
