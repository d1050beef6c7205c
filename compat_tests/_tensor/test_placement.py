"""What a Tensor says about its memory, next to torch's."""

from __future__ import annotations

import warnings

import pytest
import torch

import torchish_mlx as tm

ATTRIBUTES = sorted(name for name in dir(torch.Tensor) if name.startswith("is_"))
CALLS = [
    *[
        "x.layout",
        "x.pin_memory()",
        "x.is_pinned()",
        "x.is_shared()",
        "m.zeros(0).data_ptr()",
        "x[1:].storage_offset()",
    ],
    *["x.t().storage_offset()", "x[1:].data_ptr() - x.data_ptr()", "x.t().data_ptr() == x.data_ptr()"],
    *["x.view(12).untyped_storage().data_ptr() == x.data_ptr()", "x.detach().data_ptr() == x.data_ptr()"],
    *[
        "x.data.data_ptr() == x.data_ptr()",
        "x.clone().data_ptr() == x.data_ptr()",
        "(x + 1).data_ptr() == x.data_ptr()",
    ],
    *["x[1:].untyped_storage().data_ptr() == x.untyped_storage().data_ptr()", "x.add_(1).data_ptr() == x.data_ptr()"],
    *["x[1:].untyped_storage().nbytes()", "x.untyped_storage().size()", "len(x.untyped_storage())"],
    *["x.storage().size()", "x.storage().nbytes()", "len(x.storage())", "x[2:].storage().dtype"],
    *["x.storage().element_size()", "x.storage().tolist()", "x.untyped_storage().tolist()", "x.storage()[3]"],
    *["x.untyped_storage().device", "x.untyped_storage().is_shared()", "x.untyped_storage().is_pinned()"],
    *["x[1:].is_set_to(x[1:])", "x.is_set_to(x[1:])", "x.is_set_to(x.t())", "x.is_set_to(x.clone())"],
    *["x.cuda()", "x.xpu if False else 0", "m.strided", "m.sparse_coo", "m.strided.__reduce__()"],
    *["x.layout == m.strided", "m.is_storage(x.storage())", "repr(x[0, :2].clone().untyped_storage())"],
    *["x.record_stream if False else 0", "x.untyped_storage()._cdata == x[1:].untyped_storage()._cdata"],
]


def said(text, m):
    x = m.arange(12.0).view(4, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        try:
            return str(eval(text, {"m": m, "x": x}))
        except Exception as error:
            return f"{type(error).__name__}: {error}"


@pytest.mark.parametrize("text", CALLS)
def test_what_torch_says(text):
    assert said(text, tm) == said(text, torch)


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_a_question(name):
    if not hasattr(tm.Tensor, name):
        assert name in ("is_coalesced", "is_inference", "is_signed"), "which are not here yet"
        return
    mine, theirs = (getattr(m.ones(1), name) for m in (tm, torch))
    assert callable(mine) == callable(theirs)
    if callable(theirs) and name not in ("is_set_to", "is_same_size"):
        mine, theirs = mine(), theirs()
    if not callable(theirs):
        assert mine == theirs


def test_memory_is_told_apart():
    """Also where Tensors are freed: a number is given once."""
    kept, seen = [], set()
    for i in range(200):
        t = tm.zeros(i + 1)
        first = t.data_ptr()
        assert first == t.data_ptr()
        assert not any(first <= other < first + t.nbytes for other in seen)
        seen.add(first)
        if i % 2:
            kept.append(t)
    model = tm.Parameter(tm.ones(2))
    before = model.data_ptr()
    model.data.mul_(2)
    assert model.data_ptr() == before
    other = tm.ones(2)
    model.data = other
    assert model.data_ptr() == other.data_ptr()


def test_storage_warns_as_torchs_does():
    for m in (tm, torch):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            m.ones(2).storage()
        if m is tm or caught:  # torch warns once in a process
            assert "TypedStorage is deprecated" in str(caught[0].message)


def test_pinned_memory_where_there_is_a_gpu(monkeypatch):
    monkeypatch.setattr("torchish_mlx._tensor.placement.accelerator", lambda: "mps")
    x = tm.ones(2)
    assert x.pin_memory() is x
