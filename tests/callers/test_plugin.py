"""The pytest plugin, as strangers meet it: in processes that have it installed and nothing else.

Each suite here is run by pytest in a folder of its own.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from callers.test_servers import is_there
from clients.pages import PAGES
from clients.process import environment, until

HERE = Path(__file__).parent
STRANGER = (HERE / "stranger" / "suite.py").read_text()
PAGE = PAGES.parent / "testing-your-code.md"
_FILE = re.compile(r"^`([\w.-]+)`:\n\n```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
PATIENCE_SECONDS = 240


def command(*words: str) -> list[str]:
    """Pytest as a stranger runs it, but that every warning is an error."""
    strict = ("-p", "no:cacheprovider", "-W", "error", "--strict-markers")
    return [sys.executable, "-m", "pytest", *strict, *words]


def variables(folder: Path) -> dict[str, str]:
    """The environment of a stranger's suite, whose temporary files are in `folder`."""
    temporary = folder / "temporary"
    temporary.mkdir(exist_ok=True)
    return environment(TMPDIR=str(temporary), PYTHONPATH=str(folder))


def run(folder: Path, *words: str) -> str:
    """Run pytest to a good end, and return what it said; it leaves no file of the server's."""
    told = variables(folder)
    done = subprocess.run(
        command(*words), cwd=folder, env=told, capture_output=True, text=True,
        timeout=PATIENCE_SECONDS,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert not list(Path(told["TMPDIR"]).glob("sametoken-*"))
    return done.stdout


def test_a_stranger_s_suite_of_40_tests_passes(tmp_path: Path) -> None:
    (tmp_path / "test_stranger.py").write_text(STRANGER)
    assert "40 passed" in run(tmp_path, "-q")


def test_a_part_of_it_passes_in_two_processes_at_once(tmp_path: Path) -> None:
    """A part, since each process loads everything for itself; each has a server of its own."""
    (tmp_path / "test_stranger.py").write_text(STRANGER)
    assert "13 passed" in run(
        tmp_path, "-q", "-n", "2", "-k", "account or marker or limits or clock"
    )


def test_the_page_s_own_suite_and_programs_do_what_it_says(tmp_path: Path) -> None:
    text = PAGE.read_text()
    files = dict(_FILE.findall(text))
    assert files.keys() == {"test_shop.py", "shop.py", "test_pending.py", "test_unittest.py"}
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    assert "3 passed" in run(tmp_path, "-q", "test_shop.py")
    assert "1 passed" in run(tmp_path, "-q", "test_pending.py")
    [block] = [one for one in _BLOCK.findall(text) if one not in files.values()]
    for words in (["-m", "unittest", "test_unittest"], ["-W", "error", "-c", block]):
        done = subprocess.run(
            [sys.executable, *words], cwd=tmp_path, env=variables(tmp_path), capture_output=True,
            text=True, timeout=PATIENCE_SECONDS,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr


_HANGS = """
import os
import pathlib

def test_hangs(sametoken, sametoken_server):
    from sametoken.testing import beside

    with beside() as other:
        pathlib.Path("pids").write_text(f"{os.getpid()} {other.pid}")
        os.read(0, 1)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
def test_nothing_is_left_running_when_a_test_is_killed(tmp_path: Path) -> None:
    (tmp_path / "test_hangs.py").write_text(_HANGS)
    pids = tmp_path / "pids"
    hanging = subprocess.Popen(
        command("-q", "-s"), cwd=tmp_path, env=variables(tmp_path), stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        until(lambda: pids.exists() and len(pids.read_text().split()) == 2, "the test hangs")
        running = [int(pid) for pid in pids.read_text().split()]
        assert running[0] == hanging.pid
        assert all(is_there(pid) for pid in running)
    finally:
        hanging.kill()
        hanging.communicate()
    until(lambda: not any(is_there(pid) for pid in running), "every process has ended")
    (tmp_path / "test_next.py").write_text("def test_next(sametoken): pass")
    assert "1 passed" in run(tmp_path, "-q", "test_next.py"), "it sweeps what the dead have left"


_MARKED = """
import datetime
import pytest

marked = pytest.mark.sametoken
moved = []

@marked("flaky-network")
def test_positional(ec2): ...

@marked(region="eu-west-1")
def test_no_account(clock): ...

@marked(region="eu-wst-1")
def test_no_region(ec2): ...

@marked(faults="flaky-netwrk")
def test_no_scenario(ec2): ...

@marked(faults=[{"kind": "lose-replay"}])
def test_no_kind(ec2): ...

def test_asked_for_late(sametoken, request):
    request.getfixturevalue("clock")

@marked(faults="flaky-network")
class TestOfAClass:
    def test_without_an_account(self): ...

@marked(faults=[{"kind": "throttle", "action": "CreateVpc", "times": 1}])
def test_rules_of_the_marker_are_counted(ec2, faults):
    mine = faults.add("throttle", name="mine", action="DescribeVpcs", times=1)
    ec2.create_vpc(CidrBlock="10.0.0.0/16")
    assert faults.fired("throttle") == faults.fired() == 1
    ec2.describe_vpcs()
    assert (faults.fired(mine), faults.fired()) == (1, 2)
    with pytest.raises(Exception, match="There are: throttle, mine"):
        faults.fired("nope")
    with pytest.raises(Exception, match="no rule 'nope'"):
        faults.remove("nope")
    faults.remove("throttle")
    assert faults.fired() == 1

def test_the_clock_is_moved(ec2, sametoken_server, clock):
    moved.append(clock.advance("999h"))
    assert sametoken_server.clock().now() >= moved[0]
    with pytest.raises(TypeError, match='write "25h"'):
        clock.advance(3600)

def test_the_clock_of_the_next_test_is_right(sametoken_server):
    assert sametoken_server.clock().now() < moved[0] - datetime.timedelta(hours=900)

IMAGE = "resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"

@marked(boot_seconds=30)
def test_pending_is_seen(sametoken, ec2, clock):
    clock.freeze()
    ec2.run_instances(ImageId=IMAGE, InstanceType="t3.micro", MinCount=1, MaxCount=1)
    def state():
        [one] = ec2.describe_instances()["Reservations"]
        return one["Instances"][0]["State"]["Name"]
    with pytest.raises(AssertionError, match="the clock is frozen.*clock.resume()"):
        sametoken.assert_one_set(patience_seconds=3600)
    assert state() == "pending"
    clock.advance("1m")
    assert state() == "running"
    sametoken.assert_one_set()
"""

_REFUSALS = {
    "test_positional": "write faults='flaky-network'",
    "test_no_account": "its test uses no fixture of an account",
    "test_no_region": "Did you mean eu-west-1?",
    "test_no_scenario": "Did you mean flaky-network?",
    "test_no_kind": "Did you mean lose-reply?",
    "test_asked_for_late": "name `clock` among the arguments",
}


def test_a_marker_that_would_do_nothing_is_an_error_and_a_moved_clock_stays_in_its_test(
    tmp_path: Path,
) -> None:
    (tmp_path / "test_marked.py").write_text(_MARKED)
    told = subprocess.run(
        command("-q", "-rA", "--tb=short"), cwd=tmp_path, env=variables(tmp_path),
        capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False,
    ).stdout  # fmt: skip
    assert "5 passed" in told, told
    for test, why in _REFUSALS.items():
        wrong = re.findall(rf"^(?:ERROR|FAILED) \S+::{test} - (.*)$", told, re.M)
        assert wrong, f"{test}: {told}"
        section = told.partition(f" {test} __")[2].partition("\n___")[0]
        assert why in section, f"{test}: {told}"


_LOADED = """
import sys

def test_nothing_is_loaded():
    heavy = {"sqlalchemy", "botocore", "boto3", "click", "cryptography", "sametoken.operate"}
    assert heavy.isdisjoint(sys.modules)

def test_the_package_is_as_it_was_installed():
    import sametoken.settings

    assert "pytest" not in type(sametoken.settings.__loader__).__module__
"""


def test_a_suite_that_uses_no_fixture_pays_nothing(tmp_path: Path) -> None:
    (tmp_path / "test_loaded.py").write_text(_LOADED)
    assert "2 passed" in run(tmp_path, "-q")


def test_the_fixtures_and_the_marker_explain_themselves(tmp_path: Path) -> None:
    (tmp_path / "test_none.py").write_text("")
    told = subprocess.run(
        command("--fixtures", "-q"), cwd=tmp_path, env=variables(tmp_path), capture_output=True,
        text=True,
    ).stdout  # fmt: skip
    listed = re.findall(r"^\| `(\w+)` \| ", PAGE.read_text().partition("### Faults")[0], re.M)
    assert len(listed) == 8
    for name in listed:
        assert re.search(rf"^{name} .*plugin\.py:\d+\n {{4}}\w", told, re.M), f"{name}: {told}"
    marked = subprocess.run(
        command("--markers"), cwd=tmp_path, env=variables(tmp_path), capture_output=True, text=True
    ).stdout
    assert "@pytest.mark.sametoken(*, region, faults, boot_seconds):" in marked
