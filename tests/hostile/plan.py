"""Which mutations are made of which files; every one follows from a number.

A mutation says what loading may give: the seed's object bit for bit where checksums protect it, or anything that is
well-formed.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from tests.hostile.bits import flipped, truncated
from tests.hostile.headers import resealed
from tests.hostile.pickles import composed, reflipped, repickled
from tests.hostile.seeds import Files, Mutation
from tests.hostile.zips import spliced

PLAN: dict[str, tuple[Callable[[Random, str, Files], Mutation], tuple[str, ...]]] = {
    "flipped torch files": (flipped, ("pt", "small", "torch", "no crc")),
    "flipped legacy files": (flipped, ("legacy", "legacy small")),
    "flipped safetensors": (flipped, ("nested", "plain", "foreign", "sharded")),
    "truncated": (truncated, ("pt", "torch", "no crc", "legacy", "nested", "foreign", "sharded")),
    "spliced": (spliced, ("pt", "small", "torch", "no crc")),
    "repickled": (repickled, ("pt", "torch", "small")),
    "repickled legacy": (repickled, ("legacy", "legacy small")),
    "reflipped": (reflipped, ("pt", "small", "torch", "legacy")),
    "composed": (composed, ("torch", "small", "legacy")),
    "resealed": (resealed, ("nested", "plain", "foreign")),
    "resealed shards": (resealed, ("sharded",)),
}


def mutation(line: str, of: dict[str, Files], seed: int) -> tuple[str, Mutation]:
    """The name of the seed and the mutation."""
    change, names = PLAN[line]
    r = Random(f"{line} {seed}")
    name = r.choice(names)
    return name, change(r, name, of[name])
