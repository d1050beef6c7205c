"""Weights of a convolution (and of a bilinear layer) in torch's layout and in MLX's: which of them an entry has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from .._core.origin import MLX, TORCH, Origin
from .._tensor.tensor import Tensor

LAST = "MLX has the channels last"
_KINDS = {
    "a convolution": LAST,
    "a transposed convolution": LAST,
    "a bilinear layer": "MLX has the second input before the first",
}


# -- layers ----------------------------------------------------------------------------------------------------------


def orders(target: Tensor, ndim: int) -> dict[str, tuple[int, ...]]:
    """What the layer of ``target``, an array of a model, may be -> MLX's order of torch's axes; the likeliest first."""
    if _is_bilinear(target):
        return {"a bilinear layer": (0, 2, 1)}
    middle = range(2, ndim)
    found = {"a convolution": (0, *middle, 1), "a transposed convolution": (1, *middle, 0)} if ndim > 2 else {}
    return dict(reversed(found.items())) if "Transpose" in target._layer else found


def _is_bilinear(target: Tensor) -> bool:
    return target.ndim == 3 and "Bilinear" in target._layer.split()


class Layouts(NamedTuple):
    """The two layouts of the weights of a layer: what it is, MLX's order of torch's axes, and the two shapes."""

    kind: str
    order: tuple[int, ...]
    mlx: tuple[int, ...]
    torch: tuple[int, ...]

    @property
    def moves(self) -> bool:
        """Whether the elements are in another order, and not only in another shape."""
        wide = [axis for axis in self.order if self.torch[axis] > 1]
        return wide != sorted(wide)

    @property
    def alike(self) -> bool:
        """Whether the shape does not tell them apart."""
        return self.mlx == self.torch and self.moves

    def is_mlx(self, origin: Origin | None) -> bool:
        """Whether what is from there is known to be in MLX's layout."""
        return origin in (Origin(MLX), Origin(TORCH, self.order))


def layouts_of(target: Tensor) -> Layouts | None:
    """The layouts of ``target``, if it is the weights of a layer that is known to have two."""
    if target.ndim < 3 or not (_is_bilinear(target) or "Conv" in target._layer):
        return None
    kind, order = next(iter(orders(target, target.ndim).items()))
    shape = tuple(target.shape)
    theirs = dict(zip(order, shape, strict=True))
    return Layouts(kind, order, shape, tuple(theirs[axis] for axis in range(len(order))))


def torchs_layout(target: Tensor, shape: Sequence[int]) -> str | None:
    """What to do where ``shape`` is that of ``target`` in torch's layout, in words."""
    for kind, order in orders(target, len(shape)).items():
        if len(order) == len(shape) and tuple(shape[i] for i in order) == tuple(target.shape):
            return f"has torch's layout of {kind}, and {_KINDS[kind]}: transpose it with {order}"
    return None


# -- values ----------------------------------------------------------------------------------------------------------


def in_mlx(tree: Any) -> Any:
    """``tree``, dicts and lists of Tensors. In each of them it is noted now that it is in MLX's layout."""
    stack, seen = [tree], set[int]()
    while stack:
        value = stack.pop()
        if isinstance(value, Tensor):
            value._origin = Origin(MLX)
        elif isinstance(value, (Mapping, list, tuple)) and id(value) not in seen:
            seen.add(id(value))
            stack.extend(value.values() if isinstance(value, Mapping) else value)
    return tree


def check_layout(layout: str | None) -> None:
    """Refuse what is no layout."""
    if layout not in (None, MLX, TORCH):
        raise ValueError(
            f'layout={layout!r}: expected "mlx" (take the weights of convolutions as they are), "torch" (transpose '
            "them), or None (tell by shape and origin, and refuse what can't be told)"
        )


class LayerValue(NamedTuple):
    """A value of a state dict for the weights of a layer, or for a slot of them."""

    name: str
    layouts: Layouts
    shape: tuple[int, ...]
    origin: Origin | None


def doubts(entries: Iterable[LayerValue]) -> dict[str, str]:
    """name -> what to do, in words, for entries of which nothing tells that they are in MLX's layout.

    An entry is told by where it is from, if that is known, or by the shapes of other entries from there: a convolution
    of 3 channels and 3 x 3 has the layout of the next one, which has 64 channels.
    """
    held = list(entries)
    proven = {e.origin for e in held if e.shape == e.layouts.mlx != e.layouts.torch}
    proven -= {e.origin for e in held if e.shape == e.layouts.torch != e.layouts.mlx}
    return {
        e.name: f"{e.name} {_in_doubt(e)}"
        for e in held
        if e.layouts.alike and not e.layouts.is_mlx(e.origin) and e.origin not in proven
    }


def _in_doubt(entry: LayerValue) -> str:
    kind, order = entry.layouts.kind, entry.layouts.order
    alike, origin = f"has the same shape in torch's layout of {kind} and in MLX's, and", entry.origin
    if origin is None:
        return (
            f'{alike} nothing tells which it has. If it is torch\'s, transpose it with {order}, or pass layout="torch" '
            'to have all of them transposed; if it is MLX\'s, pass layout="mlx".'
        )
    if origin == Origin(TORCH) or (origin.side == MLX and Origin(TORCH).permuted(order) == _undone(origin)):
        comes = "it comes from torch" if origin.side == TORCH else "it was put into torch's"
        return (
            f'{alike} {comes}: transpose it with {order}, or pass layout="torch" to have all of them transposed; if it '
            'is in MLX\'s layout all the same, pass layout="mlx".'
        )
    side = "torch's" if origin.side == TORCH else "MLX's"
    return (
        f"{alike} its axes were put from {side} layout into the order {origin.axes}, while {order} makes MLX's layout "
        'of torch\'s. Transpose it so, or pass layout="mlx" if it is right as it is.'
    )


def _undone(origin: Origin) -> Origin:
    """What brings the axes back."""
    return Origin(TORCH, tuple(origin.axes.index(axis) for axis in range(len(origin.axes))))


def transposed(value: Any, order: Sequence[int]) -> Any:
    """An array of any library with its axes in another order."""
    return value.permute(order) if hasattr(value, "permute") else value.transpose(order)
