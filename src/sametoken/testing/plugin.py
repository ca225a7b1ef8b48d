"""The pytest plugin: fixtures for a suite that needs an endpoint. Loaded by pytest itself.

It loads pytest alone until a test asks for a fixture. Each process of xdist's has a server of its
own, for all its tests; each test has an account of its own. A test that moves the clock, or whose
machines take time to boot, has a server to itself: time that was moved on does not go back.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from sametoken.errors import Misconfigured
from sametoken.testing.marker import Wishes, wishes

if TYPE_CHECKING:
    from sametoken.operate.story.model import Story
    from sametoken.testing.clock import Clock
    from sametoken.testing.faults import Faults
    from sametoken.testing.limits import Limits
    from sametoken.testing.servers import Account, Server


# Members of pytest's own, of which there is no public form. Without them all is slower, and right.
_OF_THE_HOOK = ("_must_rewrite", "_marked_for_rewrite_cache")
_MARKER = (
    "sametoken(*, region, faults, boot_seconds): the Region of this test's account, the faults "
    "that strike it (a ready scenario's name, or a list of rules), and how long machines boot"
)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Leave the package's own assertions as they are: pytest rewrites those of all plugins.

    It has hundreds of modules, which are no tests; to rewrite them takes seconds.
    """
    hook = getattr(early_config.pluginmanager, "rewrite_hook", None)
    marked, known = (getattr(hook, name, None) for name in _OF_THE_HOOK)
    if isinstance(marked, set) and isinstance(known, dict):
        marked.discard("sametoken")
        known.clear()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", _MARKER)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Refuse a marker that would do nothing: its test would pass without what it asks for."""
    asked = _wishes(item)
    own = any(mark.name == "sametoken" for mark in item.own_markers)
    if own and asked != Wishes() and "sametoken" not in _names(item):
        _refuse(
            "its test uses no fixture of an account, so it would do nothing: take `ec2` or "
            '`sametoken` as an argument, or add @pytest.mark.usefixtures("sametoken")'
        )


@pytest.fixture(scope="session")
def _sametoken_shared() -> Iterator[Server]:
    """The server of all tests that need none of their own."""
    from sametoken.testing import running

    with running() as server:
        yield server


@pytest.fixture
def sametoken_server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """The server, for further accounts: `sametoken_server.account()`."""
    seconds = _wishes(request.node).boot_seconds
    if "clock" not in _names(request.node) and seconds is None:
        yield request.getfixturevalue("_sametoken_shared")
        return
    from sametoken.testing import running

    with running(boot_seconds=seconds or 0.0) as server:
        yield server


@pytest.fixture
def sametoken(sametoken_server: Server, request: pytest.FixtureRequest) -> Iterator[Account]:
    """An account of this test's own, with nothing in it: `sametoken.client("ec2")`."""
    from sametoken.testing.servers import REGION

    asked = _wishes(request.node)
    with _told(), ExitStack() as stack:
        account = sametoken_server.account(region=asked.region or REGION)
        struck = stack.enter_context(account.faults())
        for one in asked.rules:
            struck.scenario(one) if isinstance(one, str) else struck.add(**one)
        kept = stack.pop_all()
    with kept:
        yield account
    # Others need the capacity that its instances hold.
    account.reset()


@pytest.fixture
def ec2(sametoken: Account) -> Any:
    """A boto3 client for EC2, of the test's account."""
    return sametoken.client("ec2")


@pytest.fixture
def sametoken_environment(sametoken: Account, monkeypatch: pytest.MonkeyPatch) -> Mapping[str, str]:
    """Point every AWS client that is made in this test, or in its subprocesses, at the account.

    Returns the variables that were set. All others of AWS's are unset for the test.
    """
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in sametoken.variables.items():
        monkeypatch.setenv(name, value)
    return sametoken.variables


@pytest.fixture
def story(sametoken: Account) -> Callable[[str], Sequence[Story]]:
    """Tell what became of a token: `story("order-17")`, a story for each action and Region."""
    return sametoken.story


@pytest.fixture
def faults(sametoken: Account) -> Iterator[Faults]:
    """Misbehave for this test alone: `faults.add("lose-reply", action="RunInstances", times=1)`."""
    with sametoken.faults() as added:
        yield added


@pytest.fixture
def clock(sametoken_server: Server, request: pytest.FixtureRequest) -> Iterator[Clock]:
    """Move on the clock of the server, which is the test's own: `clock.advance("25h")`."""
    if "clock" not in _names(request.node):
        pytest.fail(
            "other tests use the server too: name `clock` among the arguments of the test",
            pytrace=False,
        )
    with sametoken_server.clock() as running:
        yield running


@pytest.fixture
def limits(sametoken: Account) -> Iterator[Limits]:
    """Set limits for this test alone: `limits.capacity("us-east-1a", "t3.micro", 0)`."""
    with sametoken.limits() as set_here:
        yield set_here


def _names(item: pytest.Item) -> Collection[str]:
    """Names of the fixtures that a test asks for before it runs, also by way of others."""
    names: Collection[str] = getattr(item, "fixturenames", ())
    return names


def _wishes(item: pytest.Item) -> Wishes:
    marks = [(mark.args, mark.kwargs) for mark in item.iter_markers("sametoken")]
    with _told():
        return wishes(reversed(marks))


@contextmanager
def _told() -> Iterator[None]:
    """Tell what is wrong with a marker as a failure of the test's set-up."""
    try:
        yield
    except Misconfigured as error:
        _refuse(str(error))


def _refuse(why: str) -> NoReturn:
    """Fail the test's set-up with a sentence, and no trace of the plugin's own."""
    pytest.fail(f"@pytest.mark.sametoken: {why}", pytrace=False)
