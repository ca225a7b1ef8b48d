"""Identifiers are minted in EC2's form, from the world's randomness alone."""

from __future__ import annotations

import re
import threading
from datetime import timedelta

from sametoken.resources.kit.ids import mint_id
from sametoken.world import RealWorld, mint_neighbourhood, mint_uuid


def test_an_id_is_a_prefix_and_17_digits_of_which_the_first_is_0() -> None:
    assert re.fullmatch(r"i-0[0-9a-f]{16}", mint_id(RealWorld(), "i"))


def test_two_ids_are_never_the_same() -> None:
    world = RealWorld()
    assert len({mint_id(world, "vol") for _ in range(1000)}) == 1000


def test_ids_of_one_neighbourhood_begin_alike_and_are_as_long_as_others() -> None:
    world = RealWorld()
    near = mint_neighbourhood(world)
    ids = {mint_id(world, "vol", near=near) for _ in range(1000)}
    assert len(ids) == 1000
    assert all(re.fullmatch(f"vol-0{near}[0-9a-f]{{12}}", id) for id in ids)


def test_neighbourhoods_differ() -> None:
    world = RealWorld()
    assert len({mint_neighbourhood(world) for _ in range(20)}) > 1


def test_a_uuid_is_a_random_one() -> None:
    assert re.fullmatch(
        r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
        mint_uuid(RealWorld()),
    )


def test_the_real_world_gives_as_many_digits_as_asked_for() -> None:
    world = RealWorld()
    assert [len(world.token_hex(length)) for length in range(6)] == [0, 1, 2, 3, 4, 5]


def test_the_real_world_is_in_utc() -> None:
    assert RealWorld().now().utcoffset() == timedelta(0)


def test_the_real_world_draws_from_zero_up_to_one() -> None:
    world = RealWorld()
    assert all(0.0 <= world.random() < 1.0 for _ in range(1000))


def test_a_signal_that_is_set_ends_the_wait_at_once() -> None:
    signal = threading.Event()
    assert not RealWorld().wait(signal, 0.0)
    signal.set()
    assert RealWorld().wait(signal, 3600.0)
