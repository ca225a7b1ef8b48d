"""`sametoken serve` as a service manager sees it: first line, end, log and refusals."""

from __future__ import annotations

import re
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from importlib import import_module
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from click.testing import CliRunner

from clients.process import (
    PATIENCE_SECONDS,
    Server,
    closing_server,
    identity,
    launch,
    prepare,
    until,
)
from sametoken.cli import main
from sametoken.store.gate import Gate, LockFile


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server on a new file, not started yet."""
    keys = prepare(tmp_path / "served.db")
    with closing_server(Server(tmp_path, keys)) as made:
        yield made


def answers(server: Server) -> bool:
    with closing(socket.socket()) as trial:
        return trial.connect_ex(("127.0.0.1", server.port)) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_right_after_the_first_line_is_a_clean_end(
    server: Server, number: signal.Signals
) -> None:
    server.start()
    server.process.send_signal(number)
    server.stop()
    assert not answers(server)


def test_a_request_in_flight_at_sigterm_is_answered_before_the_end(server: Server) -> None:
    """Hold the database's gate, so that the server's one writer has to wait with the request."""
    server.start()
    gate, turnstile = Gate(server.database), LockFile(Path(f"{server.database}-turn"))

    def writer_waits() -> bool:
        if not turnstile.try_lock():
            return True
        turnstile.unlock()
        return False

    with ThreadPoolExecutor(1) as thread:
        with gate.turn():
            asked = thread.submit(launch, server.client(), "in-flight")
            until(writer_waits, "the request waits for its commit")
            server.process.terminate()
            until(lambda: not answers(server), "no new connection is taken")
            assert not asked.done()
        answered = identity(asked.result(PATIENCE_SECONDS))
    server.stop()
    gate.close()
    turnstile.close()

    server.start()
    assert identity(launch(server.client(), "in-flight")) == answered
    server.stop()


def test_a_server_that_was_killed_starts_again_on_its_port_and_file(server: Server) -> None:
    server.start()
    port = server.port
    first = identity(launch(server.client(), "before"))
    server.kill()
    server.start(port=port)
    assert identity(launch(server.client(), "before")) == first
    server.stop()


LINE = re.compile(
    r"action=(?P<action>\S+) account=(?P<account>\S+) token=(?P<token>\S+) "
    r"outcome=(?P<outcome>\S+) status=(?P<status>\d+) code=(?P<code>\S+) ms=\d+\.\d "
    r"request=[0-9a-f-]{36}(?: differs=(?P<differs>\S+))?(?: instances=i-[0-9a-f]{17})?$"
)


def test_the_log_has_one_line_for_each_request_with_what_came_of_it(server: Server) -> None:
    server.start()
    ec2 = server.client()
    launch(ec2, "logged")
    launch(ec2, "logged")
    with suppress(ClientError):
        launch(ec2, "logged", InstanceType="m5.large")
    with suppress(ClientError):
        launch(ec2, "refused", ImageId="ami-0123456789abcdef0")
    with suppress(ClientError):
        launch(ec2, "two\nlines outcome=new")
    ec2.describe_instances()
    server.stop()

    found = [LINE.search(line) for line in server.log_lines() if "action=" in line]
    lines = [line.groupdict() for line in found if line is not None]
    assert len(lines) == len(found) == 6
    assert {line["account"] for line in lines} == {server.keys.account}
    assert [
        (line["action"], line["token"], line["outcome"], line["status"], line["differs"])
        for line in lines
    ] == [
        ("RunInstances", "logged", "new", "200", None),
        ("RunInstances", "logged", "replay", "200", None),
        ("RunInstances", "logged", "mismatch", "400", "InstanceType"),
        ("RunInstances", "refused", "refused", "400", None),
        ("RunInstances", r"'two\nlines\x20outcome=new'", "refused", "400", None),
        ("DescribeInstances", "-", "read", "200", None),
    ]


@pytest.fixture
def never_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let tests call the command in this process; fail if it serves, as it would never end."""

    def serves(*_: object) -> None:
        raise AssertionError("it was to be refused")

    monkeypatch.setattr(import_module("sametoken.cli.serve"), "run_until_signalled", serves)


def refused(*words: str) -> str:
    """The text with which `serve` refuses: a sentence or two, and no traceback."""
    # Without edges: a fork of the tests' process would have only one of its threads.
    done = CliRunner().invoke(main, ["serve", "--processes", "0", *words])
    assert isinstance(done.exception, SystemExit), done.exception
    assert (done.exit_code in (1, 2), done.stdout) == (True, "")
    return done.stderr


@pytest.mark.usefixtures("never_serves")
def test_a_second_server_is_refused_the_file_and_the_port(server: Server, tmp_path: Path) -> None:
    server.start()
    said = refused("--port", "0", "--database", server.database_url)
    assert f"another sametoken server already runs on {server.database}" in said
    said = refused("--port", str(server.port), "--database", f"sqlite:///{tmp_path}/other.db")
    assert f"Port {server.port} on 127.0.0.1 is in use by another program" in said
    assert len(identity(launch(server.client(), "undisturbed"))) == 2
    server.stop()


@pytest.mark.usefixtures("never_serves")
def test_a_file_that_cannot_be_a_database_is_refused_by_name(tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("this is no database, but it is longer than a header of one\n" * 100)
    for url, why in (
        (f"sqlite:///{tmp_path}", f"cannot use {tmp_path} as the database"),
        (f"sqlite:///{text}", f"cannot use {text} as the database"),
        (f"sqlite:///{text}/x.db", f"cannot use {text}/x.db as the database"),
        ("postgres", "'postgres' is not a database served here"),
    ):
        assert why in refused("--port", "0", "--database", url)


@pytest.mark.usefixtures("never_serves")
@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--host", "0.0.0.0"), "0.0.0.0 is reachable from other machines"),
        (("--host", "127.0.0.1.example.org"), "is reachable from other machines"),
        (("--tls-cert", "absent.pem"), "The TLS certificate absent.pem"),
        (("--boot-seconds", "nan"), "nan is not a number"),
        (("--boot-seconds", "-1"), "-1.0 is not in the range"),
        (("--boot-seconds", "86400.5"), "86400.5 is not in the range"),
        (("--drain-seconds", "600.5"), "600.5 is not in the range"),
        (("--port", "65536"), "65536 is not in the range"),
        (("--processes", "65"), "65 is not in the range"),
    ],
)
def test_a_setting_that_cannot_be_served_is_refused(
    tmp_path: Path, words: tuple[str, ...], why: str
) -> None:
    database = f"sqlite:///{tmp_path}/some.db"
    assert why in refused("--port", "0", *words, "--database", database)
