"""`sametoken`'s commands, before the first server and beside a running one."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click
import pytest
from botocore.exceptions import ClientError
from click.testing import CliRunner

from clients.asking import create, refused, sametoken
from clients.commands import commands, inside
from clients.process import Server, closing_server, identity, launch, prepare
from sametoken.cli import main
from sametoken.cli.database import named_database
from sametoken.cli.tables import visible
from sametoken.idempotency import RETENTION
from sametoken.migrations.upgrade import head
from sametoken.operate.opening import making
from sametoken.settings import DATABASE_VARIABLE
from sametoken.store import leaps
from sametoken.world import RealWorld
from sdk import Keys

SECRET = "0123456789abcdef0123456789abcdef01234567"


class FastWorld(RealWorld):
    """A machine whose clock is a day ahead."""

    def now(self) -> datetime:
        return super().now() + timedelta(days=1)


@pytest.fixture(scope="module")
def served(
    template: tuple[Path, Keys], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("command-line")
    with closing_server(Server.copied(*template, folder)) as server:
        server.start()
        yield server
        server.stop()


@pytest.fixture
def new(tmp_path: Path) -> str:
    """The URL of a database that does not exist yet."""
    return f"sqlite:///{tmp_path}/new/folder/some.db"


def account_seen_by(server: Server, keys: Keys) -> Any:
    return server.client("sts", keys=keys).get_caller_identity()["Account"]


@pytest.mark.parametrize("path", [*commands(main)], ids=" ".join)
def test_every_command_explains_itself_and_its_options(path: tuple[str, ...]) -> None:
    command: click.Command = main
    for name in path:
        assert isinstance(command, click.Group)
        command = inside(command)[name]
    assert command.help, "a command has a docstring"
    undocumented = [
        one.name for one in command.params if isinstance(one, click.Option) and not one.help
    ]
    assert undocumented == []
    done = CliRunner().invoke(main, [*path, "--help"])
    assert done.exit_code == 0
    assert command.help.split("\n")[0].split()[0] in done.output


def test_the_help_says_of_each_command_what_the_command_says_of_itself() -> None:
    shown = CliRunner().invoke(main, ["--help"], terminal_width=200).output
    lines = dict(re.findall(r"^  ([a-z]+) +(.+)$", shown.partition("Commands:\n")[2], re.M))
    assert lines == {name: one.get_short_help_str(200) for name, one in inside(main).items()}


def test_accounts_can_be_made_before_the_first_server(new: str, tmp_path: Path) -> None:
    first = create("first", database=new)
    assert create("first", database=new).account == first.account
    given = create(
        "second", "--access-key-id", "test", "--secret-access-key", SECRET, "--read-only",
        database=new,
    )  # fmt: skip
    assert (given.access_key_id, given.secret) == ("test", SECRET)
    listed = sametoken("accounts", "list", database=new)
    assert [line.split() for line in listed.splitlines() if "test" in line] == [
        [given.account, "second", "test", "read-only"]
    ]
    assert sametoken("accounts", "keys", "second", database=new) == f"test {SECRET} read-only\n"
    kept = (tmp_path / "new" / "folder" / "some.db").read_bytes()
    assert SECRET.encode() not in kept, "secrets are sealed at rest"


def test_an_access_key_that_exists_or_cannot_be_one_is_refused(new: str) -> None:
    create("one", "--access-key-id", "taken", database=new)
    long = refused("accounts", "create", "x" * 65, database=new)
    assert "1 to 64 characters" in long
    long = refused("accounts", "create", "two", "--access-key-id", "k" * 129, database=new)
    assert "1 to 128 characters" in long
    said = refused("accounts", "create", "two", "--access-key-id", "taken", database=new)
    assert "the access key taken exists already" in said
    said = refused("accounts", "create", "two", "--access-key-id", "a b", database=new)
    assert "'a b' is no access key id" in said
    assert "there is no account 'two'" in refused("accounts", "keys", "two", database=new)


def test_a_key_made_beside_a_running_server_works_at_once(served: Server) -> None:
    keys = create("newcomer", database=served.database_url)
    assert account_seen_by(served, keys) == keys.account
    assert len(identity(launch(served.client(keys=keys), "newcomers"))) == 2


def test_a_read_only_key_may_look_and_do_nothing_else(served: Server) -> None:
    keys = create("reader", "--read-only", database=served.database_url)
    ec2 = served.client(keys=keys)
    assert ec2.describe_instances()["Reservations"] == []
    for more in ({}, {"DryRun": True}):
        with pytest.raises(ClientError, match="UnauthorizedOperation"):
            launch(ec2, "not-mine", **more)


def test_old_and_new_keys_work_after_the_secrets_were_sealed_anew(served: Server) -> None:
    database = served.database_url
    used, unused = create("used", database=database), create("unused", database=database)
    assert account_seen_by(served, used) == used.account
    key_file = Path(f"{served.database}.key")
    before = key_file.read_text()

    assert "are sealed with a new key" in sametoken("accounts", "rekey", database=database)
    assert before.strip() not in key_file.read_text()
    assert account_seen_by(served, used) == used.account
    assert account_seen_by(served, unused) == unused.account
    late = create("late", database=database)
    assert account_seen_by(served, late) == late.account
    assert unused.secret in sametoken("accounts", "keys", "unused", database=database)


def test_what_a_caller_sent_moves_no_cursor() -> None:
    assert visible("é\x1b[2J\nforged: line\u202e") == "é\\x1b[2J\\nforged: line\\u202e"


def test_a_limit_set_beside_a_running_server_holds_at_once(served: Server) -> None:
    name = "capacity/us-east-1b/c5.large"
    set_to = ("limits", "set", name)
    ec2 = served.client()
    there: Any = {"InstanceType": "c5.large", "Placement": {"AvailabilityZone": "us-east-1b"}}
    assert sametoken(*set_to, "0", database=served.database_url) == f"{name} is 0 now\n"
    with pytest.raises(ClientError, match="InsufficientInstanceCapacity"):
        launch(ec2, "limited", **there)
    assert f"{name} " in sametoken("limits", "list", database=served.database_url)
    sametoken(*set_to, "1", database=served.database_url)
    launch(ec2, "limited", **there)
    with pytest.raises(ClientError, match="InsufficientInstanceCapacity"):
        launch(ec2, "limited-too", **there)
    unset = ("limits", "unset", name)
    assert sametoken(*unset, database=served.database_url) == f"{name} has its default again\n"
    launch(ec2, "limited-no-more", **there)
    assert "has no maximum of its own" in refused(*unset, database=served.database_url)


def test_a_quota_of_ec2s_is_listed_and_can_be_set(served: Server) -> None:
    listed = sametoken("limits", "list", database=served.database_url)
    assert re.search(r"vpn-gateway/\*/\* \(default\) +5\b", listed)
    name = f"vpn-gateway/{served.keys.account}/us-east-1"
    sametoken("limits", "set", name, "0", database=served.database_url)
    with pytest.raises(ClientError, match="VpnGatewayLimitExceeded"):
        served.client().create_vpn_gateway(Type="ipsec.1")
    sametoken("limits", "set", name, "1", database=served.database_url)
    served.client().create_vpn_gateway(Type="ipsec.1")


@pytest.mark.parametrize("words", [("vms", "3"), ("capacity/us-east-1a", "3"), ("a/b/c", "3")])
def test_a_limit_that_does_not_exist_is_refused(new: str, words: tuple[str, str]) -> None:
    assert "is no limit; use capacity/ZONE/TYPE" in refused("limits", "set", *words, database=new)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("capacity/us-east-1/t3.micro", "'us-east-1' is no zone"),
        ("capacity/us-east-1a/t9.micro", "'t9.micro' is no instance type"),
        ("capacity//", "'' is no zone"),
        ("vpc/1/us-east-1", "'1' is no account"),
        ("vpc/٠٠٠٠٠٠٠٠٠٠٠١/*", "is no account"),
        ("elastic-ip/000000000001/nowhere-9", "'nowhere-9' is no Region"),
    ],
)
def test_a_limit_that_would_limit_nothing_is_refused(new: str, name: str, says: str) -> None:
    assert says in refused("limits", "set", name, "1", database=new)


def test_a_limit_larger_than_any_database_holds_is_refused(new: str) -> None:
    said = refused("limits", "set", "capacity/*/*", str(2**31), database=new)
    assert "is not in the range 0<=x<=2147483647" in said


@pytest.mark.parametrize(
    "words",
    [
        ("accounts", "list"), ("accounts", "keys", "default"), ("tokens", "list"),
        ("tokens", "explain", "t"), ("limits", "list"), ("env",), ("run", "true"),
        ("limits", "set", "vpc/*/*", "1"), ("limits", "unset", "vpc/*/*"),
    ],
)  # fmt: skip
def test_a_path_that_was_mistyped_is_no_new_database(
    new: str, tmp_path: Path, words: tuple[str, ...]
) -> None:
    done = CliRunner().invoke(main, words, env={DATABASE_VARIABLE: new})
    assert (done.exit_code, done.stdout) == (1, "")
    assert f"there is no database at {new.removeprefix('sqlite:///')}" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_migrate_names_the_revision_and_may_be_repeated(new: str) -> None:
    first = sametoken("migrate", database=new)
    assert first.endswith(f"is at revision {head()}\n")
    assert sametoken("migrate", database=new) == first


def test_env_prints_what_a_shell_can_evaluate(served: Server) -> None:
    keys = create("shell", database=served.database_url)
    said = sametoken("env", "--account", "shell", "--region", "eu-west-1",
                     database=served.database_url)  # fmt: skip
    exports = [shlex.split(line) for line in said.splitlines()]
    assert [words[0] for words in exports] == ["export"] * 5
    assert dict(word.split("=", 1) for _, word in exports) == {
        "AWS_ACCESS_KEY_ID": keys.access_key_id,
        "AWS_SECRET_ACCESS_KEY": keys.secret,
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ENDPOINT_URL_EC2": served.url,
        "AWS_ENDPOINT_URL_STS": served.url,
    }
    said = refused("env", "--region", "eu-west-l", database=served.database_url)
    assert "there is no Region 'eu-west-l' here. Did you mean eu-west-" in said
    said = refused("env", "--account", "nobody", database=served.database_url)
    assert "there is no account 'nobody'; there are: " in said


def test_run_says_which_command_it_did_not_find(served: Server) -> None:
    said = refused("run", "--database", served.database_url, "no-such-command-here",
                   database=served.database_url)  # fmt: skip
    assert "there is no command 'no-such-command-here'" in said


@pytest.mark.parametrize("words", [("accounts", "list"), ("tokens", "list"), ("migrate",)])
def test_a_database_that_cannot_be_opened_is_refused_in_words(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    said = refused(*words, database=f"sqlite:///{tmp_path}")
    assert f"cannot use {tmp_path} as the database" in said
    assert "is not a database served here" in refused(*words, database="mysql://there/db")


def test_a_key_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    prepare(tmp_path / "some.db")
    (tmp_path / "some.db.key").chmod(0o644)
    said = refused("accounts", "list", database=f"sqlite:///{tmp_path}/some.db")
    assert "is readable by others (mode 644); chmod 600 it" in said


def test_an_account_is_held_to_signature_version_4_by_a_command(served: Server) -> None:
    database = served.database_url
    assert create("strict", database=database).account
    said = sametoken("accounts", "signatures", "strict", "--no-v2", database=database)
    assert said == "strict may sign with version 4 alone\n"
    said = sametoken("accounts", "signatures", "strict", "--v2", database=database)
    assert said == "strict may sign with version 2 and 4\n"
    assert "no account 'nobody'" in refused(
        "accounts", "signatures", "nobody", "--v2", database=database
    )


def test_the_stores_clock_is_told_with_how_far_it_is_ahead(new: str) -> None:
    with making(named_database(new), RealWorld()):
        pass
    told = sametoken("clock", database=new)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC by the store's clock\n", told)
    with making(named_database(new), FastWorld()) as here:
        here.store.run(lambda tx: leaps.over(tx, RETENTION))
    _, ahead, leapt = sametoken("clock", database=new).splitlines()
    assert re.match(r"(23:59|1 day, 0:00):\d\d ahead of its host's clock", ahead)
    assert leapt.endswith("did not pass by it: tokens are kept so much longer")


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (("srve",), "serve"),
        (("tokens", "explian"), "explain"),
        (("serve", "--prot"), "--port"),
        (("limits", "set", "capacity/us-east-1a/t3.mico", "1"), "t3.micro"),
    ],
)
def test_a_word_that_is_misspelt_is_answered_with_the_one_that_was_meant(
    words: tuple[str, ...], meant: str, new: str
) -> None:
    sametoken("accounts", "create", "anyone", database=new)
    done = CliRunner().invoke(main, words, env={DATABASE_VARIABLE: new})
    assert done.exit_code != 0
    assert "id you mean" in done.stderr
    assert meant in done.stderr
