"""The pytest plugin: fixtures for a suite that needs an endpoint. Loaded by pytest itself.

It loads pytest alone until a test asks for a fixture. Each process of xdist's has a plane
of its own, for all its tests; each test has an account of its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from sametoken.operate.tokens import Story
    from sametoken.testing.clock import Clock
    from sametoken.testing.faults import Faults
    from sametoken.testing.limits import Limits
    from sametoken.testing.planes import Account, Plane


# Members of pytest's own, of which there is no public form. Without them all is slower, and right.
_OF_THE_HOOK = ("_must_rewrite", "_marked_for_rewrite_cache")
_MARKER = (
    "sametoken(region, faults): the Region of this test's account, and the faults that strike it, "
    "a ready scenario's name or a list of rules"
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


@pytest.fixture(scope="session")
def sametoken_plane() -> Iterator[Plane]:
    """The plane of this process, started for the first test that needs it."""
    from sametoken.testing import running

    with running() as plane:
        yield plane


@pytest.fixture
def sametoken(sametoken_plane: Plane, request: pytest.FixtureRequest) -> Iterator[Account]:
    """An account of this test's own, with nothing in it: `sametoken.client("ec2")`."""
    marker = request.node.get_closest_marker("sametoken")
    asked = {} if marker is None else dict(marker.kwargs)
    struck = asked.pop("faults", ())
    account = sametoken_plane.account(**asked)
    with account.faults() as faults:
        for one in [struck] if isinstance(struck, str) else struck:
            faults.scenario(one) if isinstance(one, str) else faults.add(**one)
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
def clock(sametoken_plane: Plane) -> Iterator[Clock]:
    """Freeze the plane's clock, move it on: `clock.advance("25h")`. It goes on after the test."""
    with sametoken_plane.clock() as running:
        yield running


@pytest.fixture
def limits(sametoken: Account) -> Iterator[Limits]:
    """Set limits for this test alone: `limits.capacity("us-east-1a", "t3.micro", 0)`."""
    with sametoken.limits() as set_here:
        yield set_here
