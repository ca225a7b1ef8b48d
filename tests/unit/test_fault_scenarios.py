"""Ready scenarios: each can be read, says what a good client sees, and is told in the page."""

from __future__ import annotations

from pathlib import Path

import pytest

from sametoken.errors import Misconfigured
from sametoken.faults.board import Board
from sametoken.faults.ready import rules_of, scenarios, text_of
from sametoken.server.fault_names import names

SCENARIOS = {
    "bad-day", "capacity-crunch", "failover", "flaky-network", "slow-launch", "throttled",
    "zone-down",
}  # fmt: skip


def test_these_are_ready() -> None:
    assert scenarios().keys() == SCENARIOS


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_a_scenario_is_read_and_says_what_a_good_client_sees(name: str) -> None:
    rules = rules_of(name, names())
    assert len(Board(lambda: 0.0, rules).rules()) == len(rules) > 1
    assert all(rule.seed for rule in rules), "it says its seed, so that it can be changed"
    text = text_of(name)
    assert scenarios()[name].endswith("."), "its first line is a sentence"
    assert "\n# A good client " in text


def test_a_file_goes_before_a_scenario_and_an_unknown_name_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bad-day").write_text('[[rules]]\nkind = "unavailable"\n')
    assert len(rules_of("bad-day", names())) == 1
    with pytest.raises(Misconfigured, match=r"no scenario 'bad-days'.*Did you mean bad-day\?"):
        rules_of("bad-days", names())
    Path("binary").write_bytes(b"\xff\xfe")
    with pytest.raises(Misconfigured, match="binary cannot be read"):
        rules_of("binary", names())
