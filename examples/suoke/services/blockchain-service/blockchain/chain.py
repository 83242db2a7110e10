"""A chain of blocks: each one seals the one before."""

import hashlib
import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Block:
    height: int
    digest: str
    contract: str
    previous: str

    @property
    def seal(self):
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode("utf-8")).hexdigest()


GENESIS = Block(0, "0" * 64, "1.0", "")


class Chain:
    def __init__(self):
        self._blocks = [GENESIS]

    def __len__(self):
        return len(self._blocks)

    def __getitem__(self, height):
        return self._blocks[height]

    def append(self, digest, contract):
        """Seal one SHA-256 digest; ``ValueError`` for anything else."""
        if len(digest) != 64 or set(digest) - set("0123456789abcdef"):
            raise ValueError("not a SHA-256 digest")
        block = Block(len(self._blocks), digest, contract, self._blocks[-1].seal)
        self._blocks.append(block)
        return block

    def first_broken(self):
        """The height of the first block that does not seal its predecessor, or ``None``."""
        for before, block in zip(self._blocks, self._blocks[1:]):
            if block.previous != before.seal:
                return block.height
        return None

    def replace(self, height, block):
        """What an attacker with access to the memory would do; here for the tests."""
        self._blocks[height] = block
