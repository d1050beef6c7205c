"""Streams and events of torch.cuda, which have no counterpart: MLX orders its own work."""

from __future__ import annotations

from typing import Any, NoReturn

from .._core.device import accelerator

__all__ = ["Event", "Stream", "StreamContext", "current_stream", "default_stream", "set_stream", "stream"]

_ADVICE = "MLX orders its own work: leave {0} out, and wait for results with torch.cuda.synchronize()"


def _refused(name: str, words: str) -> NoReturn:
    if accelerator() != "cuda":
        raise RuntimeError(words)
    raise NotImplementedError(f"torch.cuda.{name}: {_ADVICE.format('streams and events')}")


class Stream:
    """Refused: MLX orders its own work.

    Raises:
        RuntimeError: always, in torch's words where there is no GPU of NVIDIA's.

    Source: ``torch.cuda.Stream``.
    """

    def __init__(self, *_args: Any, **_kwargs: Any) -> None:
        _refused("Stream", "torch.cuda.Stream requires CUDA support")


class Event:
    """Refused: MLX orders its own work. Measure time with ``synchronize()`` and ``time.perf_counter()``.

    Raises:
        RuntimeError: always, in torch's words where there is no GPU of NVIDIA's.

    Source: ``torch.cuda.Event``.
    """

    def __init__(self, *_args: Any, **_kwargs: Any) -> None:
        _refused("Event", "Tried to instantiate dummy base class Event")


class StreamContext:
    """A block for a stream; with None for the stream it does nothing, as in torch.

    Source: ``torch.cuda.StreamContext``.
    """

    def __init__(self, stream: Any) -> None:
        if stream is not None:
            raise TypeError(f"expected a torch.cuda.Stream or None, but got {type(stream).__name__}")
        self.stream = stream

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        return None


def stream(stream: Any) -> StreamContext:
    """A block for a stream, which can only be None.

    Source: ``torch.cuda.stream``.
    """
    return StreamContext(stream)


def set_stream(stream: Any) -> None:
    """Do nothing for None, which is the only stream.

    Source: ``torch.cuda.set_stream``.
    """
    StreamContext(stream)


def current_stream(device: Any = None) -> NoReturn:  # noqa: ARG001 - of any device
    """Refused: there are no streams.

    Source: ``torch.cuda.current_stream``.
    """
    if accelerator() != "cuda":
        raise AssertionError("Torch not compiled with CUDA enabled")
    raise NotImplementedError(f"torch.cuda.current_stream: {_ADVICE.format('streams')}")


def default_stream(device: Any = None) -> NoReturn:
    """Refused: there are no streams.

    Source: ``torch.cuda.default_stream``.
    """
    current_stream(device)
