"""Every screen, without a browser: what it says, its orders, its headers, and what it escapes."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from console.visitor import Visitor
from plane import LAUNCH, Plane, running_plane
from sametoken.console.mounting import show_to_developer

SCREENS = ("", "/launches", "/tokens", "/faults", "/clock", "/state", "/accounts")
HOSTILE = "\"'><script>alert(1)</script>&amp;"


@pytest.fixture
def own(tmp_path: Path) -> Iterator[tuple[Plane, Visitor]]:
    """A plane for a test alone, that resets it or moves its clock."""
    with running_plane(tmp_path, dev=True) as plane:
        show_to_developer(plane.controls)
        visitor = Visitor(plane.url)
        visitor.enter(plane.controls.links.make())
        yield plane, visitor


def test_a_browser_and_an_sdk_share_the_path(dev: Plane) -> None:
    assert dev.client().describe_vpcs()["Vpcs"]
    browser = Visitor(dev.url)
    shown = browser.get("/", accept="text/html,application/xhtml+xml,*/*;q=0.8")
    assert (shown.status, shown.leads_to) == (303, "/console")
    # Requests that are signed, name an action, or want no page, are EC2's.
    for path, headers in (
        ("/?Action=DescribeVpcs", {}),
        ("/", {"authorization": "AWS4-HMAC-SHA256 Credential=x"}),
        ("/", {"accept": "*/*"}),
    ):
        answer = browser.get(path, **headers)
        assert answer.headers["content-type"].startswith("text/xml"), path
    assert browser.post("/", {"Action": "DescribeVpcs"}).headers["content-type"] == (
        "text/xml;charset=UTF-8"
    )


def test_a_node_that_shows_no_console_answers_as_ever(plane: Plane) -> None:
    stranger = Visitor(plane.url)
    for path in ("/", "/console", "/console/tokens"):
        answer = stranger.get(path)
        assert (answer.status // 100, answer.headers["content-type"]) == (
            4,
            "text/xml;charset=UTF-8",
        )


@pytest.mark.parametrize("path", [*SCREENS, "/sign-in", "/no-such"])
def test_a_page_runs_and_loads_nothing_but_its_own(visitor: Visitor, path: str) -> None:
    page = visitor.get(f"/console{path}")
    assert page.status == (404 if path == "/no-such" else 200)
    policy = dict(
        one.strip().partition(" ")[::2]
        for one in page.headers["content-security-policy"].split(";")
    )
    assert policy["default-src"] == "'none'"
    assert {policy[one] for one in ("script-src", "style-src", "img-src", "connect-src")} == {
        "'self'"
    }
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["referrer-policy"] == "same-origin"
    # The policy would stop these in a browser, and the page would look broken.
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?! src=\"/console/static/)", page.text)
    assert not re.search(r"(?:src|href|action)=\"(?!/console|#|\?)", page.text)


def test_what_never_changes_is_kept_and_all_else_is_not_there(visitor: Visitor) -> None:
    [style] = re.findall(r'href="(/console/static/\w+/style.css)"', visitor.get("/console").text)
    kept = visitor.get(style)
    assert "immutable" in kept.headers["cache-control"]
    assert kept.headers["content-type"] == "text/css; charset=utf-8"
    for name in ("mounting.py", "..%2Fweb.py", "..%2Fpages%2Fask.html"):
        assert visitor.get(f"/console/static/x/{name}").status == 404


def test_texts_of_callers_are_shown_as_texts(dev: Plane, visitor: Visitor) -> None:
    keys = dev.account(HOSTILE[:60])
    ec2 = dev.client(keys=keys)
    token = "<script>alert('token')</script>"
    tags = [{"ResourceType": "instance", "Tags": [{"Key": "<b>", "Value": HOSTILE}]}]
    ec2.run_instances(**LAUNCH, ClientToken=token, TagSpecifications=tags)
    dev.controls.node.faults.clear()
    visitor.submit(
        visitor.get("/console/faults"),
        "/console/faults/add",
        rule="lose-reply name=<script>x</script> token=<i>",
    )
    for path in (
        *SCREENS,
        "/sign-in?link=%22%3E%3Cscript%3E",
        f"/tokens?account={keys.account}",
        f"/story?{urlencode({'of': token})}",
        f"/story?{urlencode({'of': HOSTILE})}",
    ):
        page = visitor.get(f"/console{path}")
        assert "<script>" not in page.text, path
    assert "&lt;script&gt;alert(&#39;token&#39;)" in visitor.get("/console/tokens").text
    story = visitor.get(f"/console/story?{urlencode({'of': token})}")
    assert (story.status, HOSTILE in html.unescape(story.text)) == (200, True)
    assert "&lt;script&gt;x&lt;/script&gt;" in visitor.get("/console/faults").text
    wrong = visitor.submit(
        visitor.get("/console/faults"), "/console/faults/add", rule="<script>alert(2)</script>"
    )
    assert (wrong.status, "<script>alert(2)" in wrong.text) == (400, False)
    dev.controls.node.faults.clear()


# Stories


def test_what_is_not_kept_has_no_story(visitor: Visitor) -> None:
    told = visitor.get("/console/story?of=no-such-token")
    assert (told.status, "nothing is kept of" in told.text) == (400, True)


def test_a_story_is_one_accounts_if_asked_so(dev: Plane, visitor: Visitor) -> None:
    keys = [dev.account(f"of-{number}") for number in range(2)]
    for one in keys:
        dev.client(keys=one).run_instances(**LAUNCH, ClientToken="of-both")
    both = visitor.get("/console/story?of=of-both")
    assert all(one.account in both.text for one in keys)
    first = visitor.get(f"/console/story?of=of-both&account={keys[0].account}")
    assert (keys[0].account in first.text, keys[1].account in first.text) == (True, False)


def test_a_mismatch_says_what_was_asked_and_what_is(dev: Plane, visitor: Visitor) -> None:
    ec2 = dev.client()
    ec2.run_instances(**LAUNCH, ClientToken="mismatched")
    with pytest.raises(Exception, match="IdempotentParameterMismatch"):
        ec2.run_instances(**LAUNCH | {"InstanceType": "m5.large"}, ClientToken="mismatched")
    told = html.unescape(visitor.get("/console/story?of=mismatched").text)
    assert re.search(r"<b>InstanceType</b>\s+was <del>\"?t3.micro", told)
    assert re.search(r"<ins>\"?m5.large", told)


# Orders


def test_a_scenario_is_switched_on_and_off(dev: Plane, visitor: Visitor) -> None:
    board = dev.controls.node.faults
    faults = visitor.get("/console/faults")
    done = visitor.submit(faults, "/console/faults/on", scenario="bad-day")
    assert done.leads_to == "/console/faults?done=on"
    assert "The scenario is on." in visitor.get(done.leads_to).text
    assert len(board.rules()) > 10
    # Another one beside it has rules of the same kinds.
    visitor.submit(visitor.get("/console/faults"), "/console/faults/on", scenario="throttled")
    both = len(board.rules())
    visitor.submit(visitor.get("/console/faults"), "/console/faults/off", scenario="bad-day")
    assert 0 < len(board.rules()) < both
    assert all(one.name.startswith("throttled: ") for one in board.rules())
    page = visitor.get("/console/faults")
    visitor.submit(page, "/console/faults/remove", name=board.rules()[0].name)
    visitor.submit(visitor.get("/console/faults"), "/console/faults/clear")
    assert not board.rules()


def test_a_rule_that_cannot_be_is_refused_with_what_was_written(visitor: Visitor) -> None:
    page = visitor.get("/console/faults")
    refused = visitor.submit(page, "/console/faults/add", rule="lose-repyl attempt=1")
    assert refused.status == 400
    assert "lose-reply" in refused.text
    assert 'value="lose-repyl attempt=1"' in refused.text


def test_strikes_are_shown(dev: Plane, visitor: Visitor) -> None:
    board = dev.controls.node.faults
    visitor.submit(
        visitor.get("/console/faults"), "/console/faults/add", rule="throttle action=DescribeVpcs"
    )
    with pytest.raises(Exception, match="RequestLimitExceeded"):
        dev.client().describe_vpcs()
    assert ">DescribeVpcs<" in visitor.get("/console/faults").text
    board.clear()


def test_the_clock_is_frozen_moved_on_and_let_go(own: tuple[Plane, Visitor]) -> None:
    plane, visitor = own
    clock = plane.controls.clock
    visitor.submit(visitor.get("/console/clock"), "/console/clock/freeze")
    stood = clock()
    assert stood.stands
    assert "frozen" in visitor.get("/console/clock").text
    done = visitor.submit(visitor.get("/console/clock"), "/console/clock/advance", by="25h")
    assert done.leads_to == "/console/clock?done=advanced"
    assert (clock().now - stood.now).total_seconds() == 25 * 3600
    wrong = visitor.submit(visitor.get("/console/clock"), "/console/clock/advance", by="a while")
    assert (wrong.status, "no span of time" in wrong.text) == (400, True)
    visitor.submit(visitor.get("/console/clock"), "/console/clock/resume")
    assert not clock().stands


def test_a_reset_asks_first(own: tuple[Plane, Visitor]) -> None:
    plane, visitor = own
    ec2 = plane.client()
    ec2.run_instances(**LAUNCH, ClientToken="to-be-reset")
    asked = visitor.submit(visitor.get("/console/state"), "/console/state/reset", account="")
    assert (asked.status, "all accounts have made" in asked.text) == (200, True)
    assert "to-be-reset" in visitor.get("/console/tokens").text
    done = visitor.submit(asked, "/console/state/reset")
    assert done.leads_to == "/console/state?done=reset"
    assert "to-be-reset" not in visitor.get("/console/tokens").text
    assert not ec2.describe_instances()["Reservations"]


def test_a_state_is_saved_gone_back_to_and_deleted(own: tuple[Plane, Visitor]) -> None:
    plane, visitor = own
    if plane.node.settings.database.file is None:
        assert "SQLite files alone" in visitor.get("/console/state").text
        return
    visitor.submit(visitor.get("/console/state"), "/console/state/save", name="before")
    again = visitor.submit(visitor.get("/console/state"), "/console/state/save", name="before")
    assert (again.status, "there is a snapshot" in again.text) == (400, True)
    plane.client().run_instances(**LAUNCH, ClientToken="after-the-saving")
    asked = visitor.submit(visitor.get("/console/state"), "/console/state/load", name="before")
    visitor.submit(asked, "/console/state/load")
    assert "after-the-saving" not in visitor.get("/console/tokens").text
    asked = visitor.submit(visitor.get("/console/state"), "/console/state/delete", name="before")
    assert plane.controls.saved() == ["before"]
    visitor.submit(asked, "/console/state/delete")
    assert plane.controls.saved() == []


def test_accounts_and_limits_are_shown_without_a_secret(dev: Plane, visitor: Visitor) -> None:
    dev.controls.set_limits({"vpc/*/*": 7})
    page = visitor.get("/console/accounts").text
    assert dev.keys.access_key_id in page
    assert dev.keys.secret not in page
    assert re.search(r"vpc/\*/\*</td>\s*<td class=\"count\">7", page)


def test_a_page_of_an_error_is_not_read_again_by_itself(dev: Plane, visitor: Visitor) -> None:
    assert 'data-refresh="/console/clock"' in visitor.get("/console/clock?done=frozen").text
    wrong: Any = visitor.submit(visitor.get("/console/clock"), "/console/clock/advance", by="x")
    assert "data-refresh" not in wrong.text
