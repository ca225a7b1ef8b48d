"""Terraform behind a network that loses replies: one apply is enough, and nothing is doubled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from clients.configuration import ACCOUNT, FIRST, MADE, counts, standing
from clients.terraform import require_terraform, terraform
from plane import Plane, running_plane
from sametoken.ec2.catalog import ACTIONS
from sametoken.server.choices import Choices
from sametoken.testing import Fate, LossyProxy, Passage, Policy, lossy_proxy

# Actions of the configuration that carry a client token.
TAKE_TOKENS = {
    "CreateLaunchTemplate",
    "CreateNatGateway",
    "CreateNetworkAcl",
    "CreateNetworkInterface",
    "CreateRouteTable",
    "CreateVolume",
    "RunInstances",
}
# Some of the many changes that EC2 gives no token, when making and when destroying.
TAKE_NONE = {"AllocateAddress", "AttachVolume", "CreateRoute", "CreateVpc", "ImportKeyPair"}
TAKE_AWAY = {"DeleteVpc", "DetachVolume", "ReleaseAddress", "TerminateInstances"}


def carries_a_token(passage: Passage) -> bool:
    return passage.client_token is not None


def changes_something(passage: Passage) -> bool:
    action = ACTIONS.get(passage.action)
    return action is not None and action.mutates


def losing_first_replies(to: Callable[[Passage], bool]) -> Policy:
    """Drop the reply to the first try of each call for which `to` is true."""

    def policy(passage: Passage) -> Fate:
        return Fate.DROP_REPLY if to(passage) and passage.attempt == 1 else Fate.PASS

    return policy


def lost_by(proxy: LossyProxy, to: Callable[[Passage], bool]) -> set[str]:
    """Actions whose every call lost a reply and was tried again; no other call may lose one."""
    calls = {passage.call for passage, _ in proxy.passages if to(passage)}
    lost = Counter(passage.call for passage, fate in proxy.passages if fate is Fate.DROP_REPLY)
    assert lost == dict.fromkeys(calls, 1)
    assert all(name is not None for _, name in calls), "no two calls are taken for one"
    assert calls == {passage.call for passage, _ in proxy.passages if passage.attempt == 2}
    return {action for action, _ in calls}


def check(plane: Plane, proxy: LossyProxy, folder: Path) -> None:
    """Apply once, and find everything made once and the next plan empty; then destroy it once."""
    ec2 = plane.client()
    before = standing(ec2)
    with terraform(folder, ACCOUNT, proxy.url, plane.keys) as run:
        run.apply(**FIRST)
        assert counts(standing(ec2)) - counts(before) == MADE
        assert run.plan(**FIRST) is None
        run.destroy(**FIRST)
    assert standing(ec2) == before


def test_one_apply_and_one_destroy_are_enough_whichever_replies_are_lost(tmp_path: Path) -> None:
    """Run both side by side: each spends its time on waits that the provider does not shorten."""
    require_terraform()
    by_token, by_invocation = tmp_path / "by_token", tmp_path / "by_invocation"
    by_token.mkdir()
    by_invocation.mkdir()
    with (
        running_plane(by_token) as tokens,
        running_plane(by_invocation, choices=Choices(dedupe_invocations=True)) as changes,
        lossy_proxy(tokens.url, losing_first_replies(carries_a_token)) as before_tokens,
        lossy_proxy(changes.url, losing_first_replies(changes_something)) as before_changes,
        ThreadPoolExecutor() as together,
    ):
        for checked in [
            together.submit(check, tokens, before_tokens, by_token / "terraform"),
            together.submit(check, changes, before_changes, by_invocation / "terraform"),
        ]:
            checked.result()
    assert lost_by(before_tokens, carries_a_token) == TAKE_TOKENS
    assert lost_by(before_changes, changes_something) > TAKE_TOKENS | TAKE_NONE | TAKE_AWAY
