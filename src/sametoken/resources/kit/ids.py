"""Identifiers of resources, as EC2 writes them."""

from __future__ import annotations

from sametoken.store.port import Tx
from sametoken.world import World


def mint(tx: Tx, prefix: str) -> str:
    """A new identifier; unique by its random digits and the table's key.

    Ids minted in one transaction share the digits `tx.near`, so that they lie together in every
    index.
    """
    return mint_id(tx.world, prefix, near=tx.near)


def mint_id(world: World, prefix: str, *, near: str = "") -> str:
    """A new identifier as EC2 writes them: prefix, dash, 17 hexadecimal digits, the first 0.

    `near` is a neighbourhood, or nothing. The digits that are left are random: 48 bits, so that a
    collision among the 100,000 ids of the largest batch is one in 50,000, and the table's key
    then refuses it.
    """
    return f"{prefix}-0{near}{world.token_hex(16 - len(near))}"
