"""State dicts, copies and pickles of an optimizer."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

from .._core.alone import alone
from .._core.undo import undone_on_error
from ..bridge._layouts import check_layout, in_mlx
from ._by_name import LoadReport, by_name
from ._groups import Group
from ._scheduled import ScheduledGroup, group_of
from ._state_dict import LATER_KEYS, kept, packed, restore, unpacked
from ._stateful import Stateful
from ._torchs_layout import arranged


class Saving(Stateful):
    """``state_dict`` and ``load_state_dict`` of ``torch.optim.Optimizer``."""

    later_keys: ClassVar[dict[str, Any]] = {}  # what older versions of torch did not save, in addition to LATER_KEYS
    _in_order: ClassVar[bool] = False  # whether the state depends on the order of parameters, as a vector of all

    @alone("state_dict()")
    def state_dict(self) -> dict[str, Any]:
        """The state in torch's layout: parameters are numbers, in the order of the groups.

        Its tensors are the optimizer's own, and later steps change them, as in torch: to keep the present values, take
        a ``copy.deepcopy``.
        """
        for hook in self._hooks("state_dict_pre").values():
            hook(self)
        self._settled()
        state_dict = in_mlx(packed(self.param_groups, self.state))
        for hook in self._hooks("state_dict_post").values():
            result = hook(self, state_dict)
            state_dict = state_dict if result is None else result
        return state_dict

    @alone("load_state_dict()")
    def load_state_dict(
        self,
        state_dict: Mapping[str, Any],
        strict: bool | None = None,
        keep_state_dtype: bool = False,
        layout: str | None = None,
    ) -> LoadReport | None:
        """Go on from ``state_dict``; its arrays may be Tensors, mx.arrays or another library's tensors.

        Keys that older versions of torch did not save are filled in. A compiled step sees the loaded state.

        Args:
            state_dict: what :meth:`state_dict` gives, torch's or this package's.
            strict: None matches parameters by order, as torch does. True and False match them by name, in any order and
                in other groups: by ``param_names`` in the file, which an optimizer made of ``named_parameters`` saves,
                and the names or the paths in their module that the parameters have here. What is missing, unexpected or
                mismatched is refused, or with False left as it is.
            keep_state_dtype: state keeps the floating dtype that it was saved in, and steps keep it, for example
                float32 moments of a bfloat16 model. Otherwise it takes the dtype of its parameter, except ``step``.
            layout: how the state of the weights of convolutions is there: "mlx", or "torch", by which it is transposed.
                By default it is found from shapes and origins, as :func:`torchish_mlx.load_state_dict` says.

        Returns:
            None by order; by name a report with ``missing_keys``, ``unexpected_keys`` and ``mismatched_keys``.

        Raises:
            TypeError: no dict.
            ValueError: it does not fit (groups, their sizes, entries, shapes, names), or nothing shows the layout of a
                convolution whose shape is the same in both.

        Nothing is changed where it raises, or where a hook does.
        """
        if strict is not None and not isinstance(strict, bool):
            raise TypeError(f"strict is None (by order), True or False (by name), not {strict!r}")
        check_layout(layout)
        state_dict = dict(state_dict) if isinstance(state_dict, Mapping) else state_dict
        for hook in self._hooks("load_pre").values():
            result = hook(self, state_dict)
            state_dict = state_dict if result is None else result
        tree = self._settled()
        later = {**LATER_KEYS, **self.later_keys}
        later = {key: value for key, value in later.items() if key in self.defaults}
        report, arrange = None, partial(arranged, self, layout)
        try:
            if strict is None:
                new = unpacked(tree, self.param_groups, state_dict, later, keep_state_dtype, arrange)
            else:
                new, report = by_name(self, state_dict, later, strict, keep_state_dtype, arrange)
        except RecursionError:
            raise ValueError(
                "the containers of the state dict are nested hundreds of levels deep, or contain themselves, which no "
                "optimizer saves: nothing was changed"
            ) from None
        with undone_on_error(kept(self)):
            self.__setstate__(new)
            for hook in self._hooks("load_post").values():
                hook(self)
        return report

    def _misfits(self, entries: Mapping[str, Any], where: str) -> list[str]:  # noqa: ARG002 - a subclass does
        """Says in words with which loaded entries an optimizer without a rule can't continue."""
        return []

    def __getstate__(self) -> dict[str, Any]:
        tree = self._settled()
        return {
            "defaults": self.defaults,
            "state": {**{p: entries.apart() for p, entries in tree.saved()}, **tree.loose.apart()},
            "param_groups": [
                group.given() if isinstance(group, ScheduledGroup) else dict(group) for group in self.param_groups
            ],
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take over ``{"state": {p: entries}, "param_groups": [...]}``, in place: loading and unpickling end here."""
        self.__dict__.update({k: v for k, v in state.items() if k not in ("state", "param_groups")})
        if self.rule is None:
            self.__dict__.setdefault("defaults", {}).setdefault("differentiable", False)
        if "param_groups" not in self.__dict__:
            self.param_groups = []
            for i, items in enumerate(state["param_groups"]):
                self._append(group_of(self._rule_of_group(i), items, {}))
        else:
            for group, items in zip(self.param_groups, state["param_groups"], strict=True):
                group.replace(items)
        restore(self._settled(), self.param_groups, state["state"])
        self._schedule_state()

    def _append(self, group: Group) -> None:
        tree = self._settled()
        tree.groups.append(group.arrays)
        names = group.get("param_names") or [None] * len(group["params"])
        for p, name in zip(group["params"], names, strict=True):
            tree.add(p, name, group)
        self.param_groups.append(group)
