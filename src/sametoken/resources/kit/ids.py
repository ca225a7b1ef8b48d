"""Identifiers of resources, in EC2's form."""

from __future__ import annotations

import hashlib

from sametoken.store.port import Tx
from sametoken.world import World


def mint(tx: Tx, prefix: str) -> str:
    """Make a new identifier. Its random digits and the table's key make it unique.

    Ids minted in one transaction share the digits `tx.near`, so that they are next to each other in
    every index.
    """
    return mint_id(tx.world, prefix, near=tx.near)


def mint_id(world: World, prefix: str, *, near: str = "") -> str:
    """Make a new identifier in EC2's form: prefix, dash, 17 hexadecimal digits, the first a 0.

    `near` is a neighbourhood (digits that ids of one batch share), or empty. The other digits are
    random: 48 bits beside a neighbourhood. So the chance of a collision among the 100,000 ids of
    the largest batch is one in 50,000, and the table's key then refuses the second id.
    """
    return f"{prefix}-0{near}{world.token_hex(16 - len(near))}"


def digits_of(*names: str) -> str:
    """Digits in the form of a UUID that follow from names, for what must be the same every time."""
    digits = hashlib.sha256("/".join(names).encode()).hexdigest()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:32]))
