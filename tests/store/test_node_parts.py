"""Parts of a deployment that its first start makes: an account, a digest key, a sealing key."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from sametoken.errors import Misconfigured
from sametoken.node import Node
from sametoken.operate.accounts import add_key
from sametoken.operate.keys import DIGEST_KEY, rekey
from sametoken.operate.opened import Opened
from sametoken.operate.opening import open_store
from sametoken.operate.preparing import prepare
from sametoken.operate.serving import registered_node
from sametoken.resources.account import accounts
from sametoken.server.sealing import (
    KEY_VARIABLE,
    Sealer,
    key_id,
    load_sealer,
    new_key,
    write_keys,
)
from sametoken.settings import Settings, database_of
from sametoken.store.gate import node_url, register_node
from sametoken.store.port import Store
from sametoken.world import RealWorld
from store.stores import together
from store.worlds import SetWorld


@pytest.fixture(autouse=True)
def no_key_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY_VARIABLE, raising=False)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "plane.db"


@pytest.fixture
def fresh(path: Path) -> Iterator[Store]:
    with open_store(database_of(path), SetWorld()) as store:
        yield store


def serve_a_moment(node: Node) -> None:
    """Start a node with all its parts, and end it at once."""

    async def run() -> None:
        stop = asyncio.Event()
        stop.set()
        await node.serve(stop)

    asyncio.run(run())


def key_file(path: Path) -> Path:
    """Return the path of the key file for the database at `path`."""
    file = database_of(path).key_file
    assert file is not None, "a file's key is beside it"
    return file


def started(path: Path) -> list[tuple[str, str, str, str]]:
    """Start a node on the file; return the access keys that exist then."""
    with open_store(database_of(path), SetWorld()) as store:
        prepare(store, load_sealer(key_file(path), create=True), SetWorld())
        return store.read(accounts.list_keys)


# -- the first start ----------------------------------------------------------------------------


def test_the_first_start_makes_an_account_with_a_random_key(path: Path) -> None:
    ((account, name, key, access),) = started(path)
    assert (account, name, access) == ("000000000001", "default", "full")
    assert re.fullmatch("AKIA[A-Z2-7]{16}", key)


def test_the_first_start_makes_a_key_file_for_its_owner_only(path: Path) -> None:
    started(path)
    assert key_file(path).stat().st_mode & 0o777 == 0o600
    assert list(path.parent.glob(f"{key_file(path).name}?*")) == []


def test_a_second_start_changes_neither_account_nor_key(path: Path) -> None:
    first, key = started(path), key_file(path).read_bytes()
    assert started(path) == first
    assert key_file(path).read_bytes() == key


def test_a_start_that_was_interrupted_after_its_key_file_goes_on_with_it(path: Path) -> None:
    load_sealer(key_file(path), create=True)
    key = key_file(path).read_bytes()
    assert len(started(path)) == 1
    assert key_file(path).read_bytes() == key


def test_the_digest_key_is_random_kept_sealed_and_the_same_at_every_start(fresh: Store) -> None:
    sealer = Sealer([new_key()])
    key = prepare(fresh, sealer, SetWorld(1)).key
    assert len(key) == 32
    assert prepare(fresh, sealer, SetWorld(2)).key == key
    kept = fresh.read(lambda tx: accounts.sealed_setting(tx, DIGEST_KEY))
    assert kept is not None
    assert key.hex() not in kept[0]


def test_two_first_starts_at_once_agree_on_one_digest_key(fresh: Store) -> None:
    sealer = Sealer([new_key()])
    engines = [prepare(fresh, sealer, SetWorld(seed)) for seed in range(3)]
    assert len({engine.key for engine in engines}) == 1
    assert len(fresh.read(accounts.list_keys)) == 1


def test_a_database_that_has_accounts_gets_no_default_one(fresh: Store) -> None:
    sealer = Sealer([new_key()])
    fresh.run(lambda tx: add_key(tx, sealer, "mine", access="full"))
    prepare(fresh, sealer, SetWorld())
    assert [name for _, name, _, _ in fresh.read(accounts.list_keys)] == ["mine"]


# -- accounts -----------------------------------------------------------------------------------


def test_a_key_can_be_added_to_an_account_and_names_make_new_ones(fresh: Store) -> None:
    sealer = Sealer([new_key()])

    def add(name: str) -> tuple[str, str, str]:
        return fresh.run(lambda tx: add_key(tx, sealer, name, access="full"))

    one, again, other = add("one"), add("one"), add("other")
    assert (one[0], again[0], other[0]) == ("000000000001", "000000000001", "000000000002")
    assert len({one[1], again[1], other[1]}) == 3


def test_a_secret_reaches_the_database_sealed_only(fresh: Store) -> None:
    sealer = Sealer([new_key()])
    _, id, secret = fresh.run(
        lambda tx: add_key(tx, sealer, "a", access="read-only", secret="swordfish")
    )
    key = fresh.read(lambda tx: accounts.find_key(tx, id))
    assert key is not None
    assert "swordfish" not in key.sealed_secret
    assert sealer.unseal(key.sealed_secret, key.sealing_key) == secret == "swordfish"
    assert key.access == "read-only"


def test_an_access_key_id_is_given_once(fresh: Store) -> None:
    sealer = Sealer([new_key()])

    def add(account: str) -> None:
        fresh.run(lambda tx: add_key(tx, sealer, account, access="full", access_key_id="AKIA1"))

    add("one")
    with pytest.raises(Misconfigured, match="AKIA1"):
        add("other")
    assert [name for _, name, _, _ in fresh.read(accounts.list_keys)] == ["one"]


def test_all_secrets_can_be_sealed_anew(fresh: Store) -> None:
    old, new = new_key(), new_key()
    engine = prepare(fresh, Sealer([old]), SetWorld())
    both = Sealer([new, old])

    def reseal(sealed: str, sealing_key: str) -> tuple[str, str]:
        return both.seal(both.unseal(sealed, sealing_key))

    assert fresh.run(lambda tx: accounts.reseal_all(tx, reseal)) == 2
    assert prepare(fresh, Sealer([new]), SetWorld()).key == engine.key
    with pytest.raises(Misconfigured):
        prepare(fresh, Sealer([old]), SetWorld())


def test_two_that_replace_the_key_at_once_leave_the_one_that_unseals(path: Path) -> None:
    started(path)
    database = database_of(path)
    with open_store(database, RealWorld()) as store:
        here = Opened(database, store)
        done = together(4, lambda number: rekey(here)[0])
        assert done == [done[0]] * 4
        for name in (DIGEST_KEY,):
            kept = store.read(partial(accounts.sealed_setting, name=name))
            assert kept is not None
            assert here.sealer.unseal(*kept)
    assert len(key_file(path).read_text().split()) == 1


# -- a single server per file -------------------------------------------------------------------


def test_a_second_node_of_a_file_is_refused_with_a_sentence(path: Path) -> None:
    settings = Settings(database_of(path), port=0, runners=1, sweep_seconds=0.01)
    with registered_node(settings, RealWorld()) as node:
        with (
            pytest.raises(Misconfigured, match="already runs on"),
            registered_node(settings, RealWorld()),
        ):
            pass
        assert node_url(path) == node.url
        serve_a_moment(node)
    register_node(path).close()


def test_a_host_that_others_can_reach_needs_tls_or_a_word(path: Path) -> None:
    with (
        pytest.raises(Misconfigured, match="--tls-cert"),
        registered_node(Settings(database_of(path), host="0.0.0.0", port=0), RealWorld()),
    ):
        pass


# -- sealing ------------------------------------------------------------------------------------


@pytest.mark.parametrize("secret", ["", "swordfish", "é" * 200, "line\nline"])
def test_what_is_sealed_is_unsealed(secret: str) -> None:
    sealer = Sealer([new_key()])
    sealed, key = sealer.seal(secret)
    assert secret not in sealed or not secret
    assert sealer.unseal(sealed, key) == secret


def test_the_same_secret_is_never_sealed_alike() -> None:
    sealer = Sealer([new_key()])
    assert sealer.seal("secret") != sealer.seal("secret")


def test_the_wrong_key_is_refused_naming_both(path: Path) -> None:
    started(path)
    right = key_id(key_file(path).read_text().strip())
    wrong = new_key()
    write_keys(key_file(path), [wrong])
    with pytest.raises(Misconfigured) as refused:
        started(path)
    assert right in str(refused.value)
    assert key_id(wrong) in str(refused.value)
    assert wrong not in str(refused.value)


def test_a_lost_key_file_is_not_silently_replaced_by_one_that_fits_nothing(path: Path) -> None:
    started(path)
    key_file(path).rename(path.with_name("kept"))
    with pytest.raises(Misconfigured, match="sealed with key"):
        started(path)
    path.with_name("kept").rename(key_file(path))
    assert len(started(path)) == 1


def test_former_keys_still_unseal_and_the_first_seals() -> None:
    old, new = new_key(), new_key()
    sealed, key = Sealer([old]).seal("secret")
    both = Sealer([new, old])
    assert both.unseal(sealed, key) == "secret"
    assert both.seal("secret")[1] == key_id(new)


def test_a_damaged_secret_is_told_as_such() -> None:
    sealer = Sealer([new_key()])
    sealed, key = sealer.seal("secret")
    with pytest.raises(Misconfigured, match="damaged"):
        sealer.unseal(sealed[:-4] + "AAA=", key)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o666, 0o601])
def test_a_key_file_that_others_can_read_is_refused(path: Path, mode: int) -> None:
    load_sealer(key_file(path), create=True)
    key_file(path).chmod(mode)
    with pytest.raises(Misconfigured, match="chmod 600"):
        load_sealer(key_file(path), create=False)


def test_a_missing_key_file_is_told_where_it_must_not_be_made(path: Path) -> None:
    with pytest.raises(Misconfigured, match="is missing"):
        load_sealer(key_file(path), create=False)
    with pytest.raises(Misconfigured, match=KEY_VARIABLE):
        load_sealer(None, create=True)


@pytest.mark.parametrize("content", ["", "\n", "not a key\n", "ü\n"])
def test_a_key_file_without_a_key_is_refused_with_a_sentence(path: Path, content: str) -> None:
    load_sealer(key_file(path), create=True)
    key_file(path).write_text(content)
    with pytest.raises(Misconfigured, match="key"):
        load_sealer(key_file(path), create=False)


def test_the_environment_comes_before_the_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    current, former = new_key(), new_key()
    sealed = Sealer([former]).seal("secret")
    monkeypatch.setenv(KEY_VARIABLE, f" {current}, {former} ")
    sealer = load_sealer(key_file(path), create=True)
    assert sealer.current == key_id(current)
    assert sealer.unseal(*sealed) == "secret"
    assert not key_file(path).exists()


def test_a_key_in_the_environment_that_is_none_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "swordfish")
    with pytest.raises(Misconfigured, match="not 32") as refused:
        load_sealer(None, create=False)
    assert "swordfish" not in str(refused.value)
