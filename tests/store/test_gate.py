"""The gate of a file: a single server, fair turns, and locks that end with their processes."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sametoken.errors import Misconfigured
from sametoken.store.gate import Gate, LockFile, node_url, register_node
from store.processes import next_line, process, rest
from store.stores import HANG_SECONDS, SqliteDatabase, notes, write
from store.worlds import SetWorld


def test_a_second_server_of_a_file_is_refused_and_told_what_to_do(tmp_path: Path) -> None:
    database = tmp_path / "plane.db"
    lock = register_node(database)
    for _ in range(2):
        with pytest.raises(Misconfigured, match="already runs on") as refused:
            register_node(database)
        assert str(database) in str(refused.value)
        assert "--database" in str(refused.value)
    lock.close()
    register_node(database).close()


def test_servers_of_different_files_do_not_mind_each_other(tmp_path: Path) -> None:
    one, two = register_node(tmp_path / "one.db"), register_node(tmp_path / "two.db")
    one.close()
    two.close()


def test_a_server_that_was_killed_leaves_its_place_free(tmp_path: Path) -> None:
    database = tmp_path / "plane.db"
    with process("serve", database) as server:
        assert next_line(server) == "in"
        with pytest.raises(Misconfigured):
            register_node(database)
        server.kill()
        server.wait(HANG_SECONDS)
        register_node(database).close()


def test_a_server_says_where_it_serves(tmp_path: Path) -> None:
    database = tmp_path / "plane.db"
    assert node_url(database) is None
    lock = register_node(database)
    assert node_url(database) is None
    lock.write("http://127.0.0.1:65535")
    lock.write("http://127.0.0.1:4590")
    assert node_url(database) == "http://127.0.0.1:4590"
    lock.close()


def test_the_lock_files_are_for_their_owner_only(tmp_path: Path) -> None:
    database = tmp_path / "plane.db"
    register_node(database).close()
    Gate(database).close()
    modes = {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()}
    assert modes == {f"plane.db-{name}": 0o600 for name in ("gate", "node", "turn")}


def test_the_gate_is_held_by_one_at_a_time(tmp_path: Path) -> None:
    inside: list[int] = []

    def pass_through(gate: Gate) -> None:
        for _ in range(100):
            with gate.turn():
                inside.append(1)
                assert len(inside) == 1
                inside.pop()
        gate.close()

    gates = [Gate(tmp_path / "plane.db") for _ in range(4)]
    threads = [threading.Thread(target=pass_through, args=(gate,)) for gate in gates]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(HANG_SECONDS)
        assert not thread.is_alive()


def await_waiter(turnstile: LockFile) -> None:
    """Wait until a process holds the turnstile, because it waits for the gate."""
    for _ in range(1_000_000):
        if not turnstile.try_lock():
            return
        turnstile.unlock()
    pytest.fail("nobody waits for the gate")


def test_who_waits_for_the_gate_comes_before_its_holder_comes_again(tmp_path: Path) -> None:
    """A loaded server takes turn after turn; without the turnstile, others might never get one."""
    database = tmp_path / "plane.db"
    greedy, waiter = Gate(database), Gate(database)
    turnstile = LockFile(database.with_name("plane.db-turn"))
    order: list[str] = []

    def wait_for_it() -> None:
        with waiter.turn():
            order.append("waiter")

    thread = threading.Thread(target=wait_for_it)
    with greedy.turn():
        thread.start()
        await_waiter(turnstile)
    for _ in range(3):
        with greedy.turn():
            order.append("greedy")
    thread.join(HANG_SECONDS)
    assert order == ["waiter", "greedy", "greedy", "greedy"]
    for closing in (greedy, waiter, turnstile):
        closing.close()


def test_a_turn_that_fails_frees_the_gate(tmp_path: Path) -> None:
    gate, other = Gate(tmp_path / "plane.db"), Gate(tmp_path / "plane.db")
    with pytest.raises(KeyError), gate.turn():
        raise KeyError
    with other.turn():
        pass
    gate.close()
    other.close()


def test_a_process_killed_at_the_gate_holds_up_nobody(tmp_path: Path) -> None:
    file = SqliteDatabase(tmp_path)
    with process("hold", file.path) as holder:
        assert next_line(holder) == "in"
        holder.kill()
        with file.open(SetWorld()) as store:
            assert store.run(write("a")) == "a"


def test_jobs_can_be_taken_back_while_another_process_holds_the_gate(tmp_path: Path) -> None:
    """Jobs are taken only while the gate is held, so the caller's 503 still says "did not run"."""
    file = SqliteDatabase(tmp_path)
    with file.open(SetWorld()) as store, process("hold", file.path) as holder:
        assert next_line(holder) == "in"
        future = store.submit(write("never"))
        turnstile = LockFile(file.path.with_name("plane.db-turn"))
        await_waiter(turnstile)
        turnstile.close()
        assert future.cancel()
        holder.kill()
        assert store.run(write("a")) == "a"
        assert store.read(notes) == ["a"]


def test_another_process_writes_while_the_store_is_loaded_and_neither_fails_nor_starves(
    tmp_path: Path,
) -> None:
    file = SqliteDatabase(tmp_path)
    done = threading.Event()

    with file.open(SetWorld()) as store:

        def load(name: int) -> list[str]:
            mine: list[str] = []
            while not done.is_set():
                mine.append(store.run(write(f"load-{name}-{len(mine):05}")))
            return mine

        with ThreadPoolExecutor(4) as pool, process("write", file.path, "other", 30) as other:
            loading = [pool.submit(load, name) for name in range(4)]
            others = rest(other)
            done.set()
            loads = [future.result(HANG_SECONDS) for future in loading]
            assert other.wait(HANG_SECONDS) == 0
        assert others == [f"other-{number:03}" for number in range(30)]
        assert all(loads)
        assert store.read(notes) == sorted([*others, *(name for mine in loads for name in mine)])
