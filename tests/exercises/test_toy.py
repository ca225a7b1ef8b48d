"""A new noun needs its record and its exercise alone: with them it passes every suite.

The noun is a toy with a model of its own, so that it stays a toy whatever EC2 action is served.
The suites run unedited, in a process where a plugin declares the toy before they are loaded.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from exercises.toy_model import write_model

TESTS = Path(__file__).parent.parent
# Suites that test every noun, each with a test that must have run with the toy.
SUITES = {
    "ec2/test_catalog.py": "test_every_read_answers_what_botocore_reads",
    "ec2/test_dry_run_and_access.py": "test_a_dry_run_of_any_action_does_nothing",
    "ec2/test_every_create.py": "test_a_replay_after_removal_creates_nothing",
    "ec2/test_lost_replies.py": "test_a_repeat_after_a_lost_reply_does_what_ec2s_does",
    "ec2/test_paginators.py": "test_a_paginator_shows_each_once_and_the_same_as_one_answer",
    "ec2/test_quotas.py": "test_one_too_many_is_refused_and_the_repeat_of_the_last_is_not",
    "exercises/test_exercises.py": "test_a_part_that_is_left_out_is_named",
    "simulation/test_makings.py": "test_what_callers_ask_for_is_done_and_every_promise_holds",
    "test_docs.py": "test_the_page_of_actions_tells_of_what_the_exercises_ask",
}
_PASSED = re.compile(r"^PASSED (?:tests/)?(\S+?)::(\w+)", re.MULTILINE)


def told(home: Path) -> str:
    """Run the suites on toys alone, and return their output."""
    write_model(home)
    # botocore reads a user's models in the home folder, unless a variable names another place.
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "AWS_"))
    }
    environment |= {"HOME": str(home), "PYTHONPATH": str(TESTS)}
    suites = [str(TESTS / name) for name in SUITES]
    command = [
        *(sys.executable, "-m", "pytest", "-q", "-rA", "-p", "exercises.toy", "-p", "no:xdist"),
        *("-p", "no:cacheprovider", "-k", "toy", *suites),
    ]
    ran = subprocess.run(command, cwd=TESTS.parent, env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr[-2000:]
    return ran.stdout


def test_a_noun_that_is_declared_and_exercised_passes_every_suite(tmp_path: Path) -> None:
    passed = set(_PASSED.findall(told(tmp_path)))
    assert SUITES.items() - passed == set(), "the toy was in none of these"
