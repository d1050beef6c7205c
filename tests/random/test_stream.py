"""Torch's numbers without torch: some that it prints, and what holds for every generator."""

from __future__ import annotations

import numpy as np
import pytest

import torchish_mlx as tm
from torchish_mlx.random import _cephes, _normals
from torchish_mlx.random._rounding import fma32, fma64, settled


def test_numbers_that_torch_prints():
    """``torch.manual_seed(0)``, ``torch.rand(3)`` and so on, as many pages on torch show them."""
    tm.manual_seed(0)
    assert tm.rand(3).tolist() == [0.49625658988952637, 0.7682217955589294, 0.08847743272781372]
    tm.manual_seed(0)
    assert tm.randn(3).tolist() == [1.5409960746765137, -0.293428897857666, -2.1787893772125244]
    tm.manual_seed(0)
    assert tm.randint(10, (5,)).tolist() == [4, 9, 3, 0, 3]
    tm.manual_seed(999)
    np.testing.assert_allclose(tm.randn(3).tolist(), [-0.8379, 0.4564, 0.3481], atol=5e-5)  # on a Mac (M1)


def test_both_kernels_draw_the_same_words(monkeypatch):
    """Normals of another processor differ in their last digits, and leave the same state."""
    made = []
    for vector in (True, False):
        monkeypatch.setattr(_normals, "VECTOR_KERNELS", vector)
        tm.manual_seed(1)
        made.append((np.array(tm.randn(10_007).array), np.array(tm.get_rng_state().array).tobytes()))
    (a, first), (b, second) = made
    assert first == second
    assert 0.3 < (a == b).mean() < 0.9
    np.testing.assert_allclose(a, b, rtol=0, atol=5e-6)


def test_cephes():
    x = np.float32(1) - np.arange(0, 2**24, 997, dtype=np.float32) / np.float32(2**24)
    room, found = _cephes.Room(len(x)), x.copy()
    _cephes.log(found, room)
    np.testing.assert_allclose(found, np.log(x.astype(np.float64)), rtol=2e-7, atol=1e-12)
    angle = x * np.float32(2 * np.pi)
    sine, cosine = _cephes.sine_and_cosine(angle.copy(), room)
    np.testing.assert_allclose(sine, np.sin(angle.astype(np.float64)), atol=1.2e-7)
    np.testing.assert_allclose(cosine, np.cos(angle.astype(np.float64)), atol=1.2e-7)


def test_fused_products():
    """Against integers, which are exact in Python."""
    rng = np.random.default_rng(0)
    a, b, c = (rng.integers(-(2**52), 2**52, 2000) for _ in range(3))
    c = c * 2**40
    exact = [float(int(x) * int(y) + int(z)) for x, y, z in zip(a.tolist(), b.tolist(), c.tolist(), strict=True)]
    assert fma64(a, b, c).tolist() == exact
    assert (fma64(a, b, c) != a.astype(float) * b + c).any()
    with np.errstate(invalid="ignore"):
        assert fma64(np.inf, 2.0, 1.0) == np.inf
        assert np.isnan(fma64(np.nan, 2.0, 1.0))
    a, b, c = (rng.integers(-(2**23), 2**23, 2000) for _ in range(3))
    exact32 = (a * b + c).astype(np.float32)
    assert (fma32(a.astype(np.float32), b.astype(np.float32), c.astype(np.float32)) == exact32).all()


def test_what_is_unsure_is_computed_exactly():
    near = np.array([1.0, 2.0, 2.5, np.nextafter(2.5, 3)])
    asked = []

    def exact(places):
        asked.extend(places.tolist())
        return [2.4] * len(places)

    out = settled(near, exact, np.rint)
    assert asked == [2, 3]
    assert out.tolist() == [1, 2, 2, 2]


@pytest.mark.parametrize("n", [0, 1, 2, 5, 1000])
def test_a_permutation_has_all(n):
    assert sorted(tm.randperm(n).tolist()) == list(range(n))


def test_the_default_generator_begins_somewhere_else_in_every_run():
    assert tm.seed() != tm.seed()
