"""Journeys of a person through the console, in a real browser.

No page asks another machine, writes an error, or is a barrier to anybody, in either colour scheme
or at a phone's width. With SAMETOKEN_SCREENSHOTS the pictures of the documents are taken.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from console.chromium import Person, chromium, person_at
from plane import LAUNCH, Plane, running_plane
from sametoken.console.mounting import show_to_developer

# Says whether the line of replays has left the ground, which is at 102 of the picture's 120.
RISES = """() =>
  document.querySelector('[data-plot="replays mismatches"] .plot-0').getAttribute("points")
    .split(" ").some((one) => parseFloat(one.split(",")[1]) < 101)"""
FIND = "A token, or the id of an instance, a reservation or a request"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    """A plane whose machines boot for half a minute of the store's clock."""
    folder = tmp_path_factory.mktemp("shown")
    with running_plane(folder, dev=True, boot_seconds=30) as plane:
        show_to_developer(plane.controls)
        yield plane


@pytest.fixture
def person(browser: Any, shown: Plane) -> Iterator[Person]:
    """A person who is signed in, at a plane that is as new."""
    shown.controls.node.faults.clear()
    shown.controls.reset()
    with person_at(browser, shown.url) as found:
        found.go(shown.controls.console_link().removeprefix(shown.url))
        found.click("Sign in")
        found.sees("launches under way")
        yield found
    shown.controls.resume()


def test_a_person_signs_in_by_the_link_and_out(browser: Any, shown: Plane) -> None:
    with person_at(browser, shown.url) as person:
        person.go("/")
        person.sees("sametoken console link")
        person.take_pictures("sign-in")
        link = shown.controls.console_link().removeprefix(shown.url)
        person.go(link)
        person.click("Sign in")
        person.sees("launches under way")
        assert person.page.url == f"{shown.url}/console"
        person.click("Sign out")
        person.sees("sametoken console link")
        person.go("/console/tokens")
        person.sees("sametoken console link")
    with person_at(browser, shown.url) as other:
        other.go(link)
        other.click("Sign in")
        other.sees("This link was used already")
        # The browser tells of every answer that is an error.
        assert [one for one in other.wrongs if "403" in one]
        other.wrongs.clear()


def test_a_mismatch_is_explained(person: Person, shown: Plane) -> None:
    ec2 = shown.client()
    ec2.run_instances(**LAUNCH, ClientToken="order-17")
    with pytest.raises(Exception, match="IdempotentParameterMismatch"):
        ec2.run_instances(**LAUNCH | {"InstanceType": "t3.small"}, ClientToken="order-17")
    person.click("Tokens", "link")
    person.write(FIND, "order-17")
    person.click("Tell its story")
    person.sees("InstanceType")
    assert "t3.small" in person.says()
    person.take_pictures("mismatch")


def test_a_launch_under_faults_becomes_running(person: Person, shown: Plane) -> None:
    person.click("Clock", "link")
    person.click("Freeze")
    person.click("Faults", "link")
    person.write("A kind and its keys", "fail-step step=make-volumes attempt=1-2")
    person.click("Add")
    person.sees("The rule is in force.")
    launched = shown.client().run_instances(**LAUNCH, ClientToken="order-18")
    [instance] = [one["InstanceId"] for one in launched["Instances"]]
    person.click("Launches", "link")
    person.page.locator("[data-live=under-way]").get_by_role("link", name=instance).click()
    person.sees("pending")
    person.click("Clock", "link")
    person.click("Move it on by 1m")
    person.sees("The clock was moved on")
    person.click("Launches", "link")
    person.sees("Nothing is under way.")
    person.take_pictures("launches")
    person.click("order-18", "link")
    person.sees("running")
    told = person.says()
    assert told.count("retry") == 2
    assert "fail-step" in told
    person.take_pictures("launch")


def test_a_scenario_is_switched_and_watched(person: Person, shown: Plane) -> None:
    person.click("Faults", "link")
    person.click("Switch on throttled")
    person.sees("The scenario is on.")
    assert shown.controls.node.faults.rules()
    person.write("A kind and its keys", "throttle name=mine action=DescribeVpcs times=1")
    person.click("Add")
    person.sees("The rule is in force.")
    with pytest.raises(Exception, match="RequestLimitExceeded"):
        shown.client().describe_vpcs()
    # The page is not loaded again: it hears of it.
    person.page.locator("[data-live=strikes] td").first.wait_for()
    person.take_pictures("faults")
    person.click("Switch off throttled")
    person.sees("The scenario is off.")
    assert [one.name for one in shown.controls.node.faults.rules()] == ["mine"]


def test_the_clock_is_moved_on_until_a_token_expires(person: Person, shown: Plane) -> None:
    ec2 = shown.client()
    volume = ec2.create_volume(AvailabilityZone="us-east-1a", Size=1, ClientToken="soon-gone")
    ec2.delete_volume(VolumeId=volume["VolumeId"])
    person.click("Tokens", "link")
    person.sees("soon-gone")
    person.click("Clock", "link")
    person.click("Freeze")
    person.sees("The clock stands.")
    person.take_pictures("clock")
    person.click("Move it on by 25h")
    person.sees("The clock was moved on")
    person.click("Tokens", "link")
    person.sees("There are none.")


def test_a_reset_is_asked_for_twice(person: Person, shown: Plane) -> None:
    shown.client().create_volume(AvailabilityZone="us-east-1a", Size=1, ClientToken="to-be-reset")
    person.click("State", "link")
    person.click("Reset…")
    person.sees("Remove all that all accounts have made")
    person.take_pictures("reset")
    person.click("No, go back", "link")
    person.click("Tokens", "link")
    person.sees("to-be-reset")
    person.click("State", "link")
    person.write("Name", "before")
    person.click("Save the present state")
    person.sees("The state is saved.")
    person.click("Reset…")
    person.click("Yes, do it")
    person.sees("It is as if nobody had asked for anything.")
    person.take_pictures("state")
    person.click("Tokens", "link")
    person.sees("There are none.")
    person.click("State", "link")
    person.click("Delete… (before)")
    person.click("Yes, do it")
    person.sees("The saved state is gone.")


def test_the_overview_follows_what_happens(person: Person, shown: Plane) -> None:
    ec2 = shown.client()
    ec2.run_instances(**LAUNCH, ClientToken="seen-at-once")
    person.sees("seen-at-once")
    plot = person.page.locator('[data-plot="replays mismatches"] svg')
    plot.wait_for()
    for _ in range(5):
        ec2.run_instances(**LAUNCH, ClientToken="seen-at-once")
    person.page.wait_for_function(RISES)
    person.take_pictures("overview")
    person.go("/console/accounts")
    person.take_pictures("accounts")
    person.click("Tokens", "link")
    person.sees("seen-at-once")
    person.take_pictures("tokens")


def test_a_keyboard_is_enough(person: Person) -> None:
    page = person.page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the page"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    person.go("/console/clock")
    reached = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.outerHTML"))
        shown = "getComputedStyle(document.activeElement).outlineStyle"
        assert page.evaluate(f"document.activeElement === document.body || {shown} !== 'none'")
    every = page.evaluate(
        "[...document.querySelectorAll('a[href], button, input:not([type=hidden]), select')]"
        ".map((one) => one.outerHTML)"
    )
    assert set(every) <= reached


def test_without_scripts_all_can_be_read_and_ordered(browser: Any, shown: Plane) -> None:
    with person_at(browser, shown.url, java_script_enabled=False) as person:
        person.go(shown.controls.console_link().removeprefix(shown.url))
        person.click("Sign in")
        person.sees("Plots need JavaScript")
        person.click("Clock", "link")
        person.click("Freeze")
        person.sees("The clock stands.")
        person.click("Let it go on")
        person.sees("The clock goes.")
