"""Events of the log: a line each, for people or as JSON, of which no caller's text is two."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import yaml

from sametoken.cli.log_json import JsonFormatter
from sametoken.cli.log_lines import LineFormatter
from sametoken.counts import Type
from sametoken.events import EventKind, Events, words
from sametoken.readings import EVENTS, FAMILIES
from sametoken.server.exchange import Exchange
from sametoken.server.execution import Executed
from sametoken.server.request_log import REQUEST, RequestLine

MADE = EventKind("thing.made", ("id", "says"), "A thing was made.")


def record(message: object, *values: object) -> logging.LogRecord:
    made = logging.LogRecord("sametoken.x", logging.INFO, "path", 1, message, values, None)
    made.created, made.msecs = 1_800_000_000.25, 250.0
    return made


def test_events_of_one_record_are_a_line_each() -> None:
    one, other = MADE.of("a", "b c\nd"), MADE.of("b", "")
    lines = LineFormatter().format(record(Events((one, other)))).splitlines()
    assert [line.split(" INFO ")[1] for line in lines] == [
        r"thing=made id=a says='b\x20c\nd'",
        "thing=made id=b says=",
    ]
    assert LineFormatter().format(record(one)) == lines[0]


def test_json_has_an_events_name_and_its_fields() -> None:
    lines = JsonFormatter().format(record(Events((MADE.of("a", "b\nc"), MADE.of("b", 2)))))
    first, second = (json.loads(line) for line in lines.splitlines())
    assert first == {
        "time": "2027-01-15T08:00:00.250+00:00", "level": "info", "logger": "sametoken.x",
        "event": "thing.made", "id": "a", "says": "b\nc",
    }  # fmt: skip
    assert second["says"] == 2


def test_json_has_texts_and_errors() -> None:
    said = json.loads(JsonFormatter().format(record("told %s\n%d", "this", 2)))
    assert (said["event"], said["message"]) == ("text", "told this\n2")
    try:
        raise ValueError("why")
    except ValueError as error:
        failed = record("failed")
        failed.exc_info = (ValueError, error, error.__traceback__)
    [line] = JsonFormatter().format(failed).splitlines()
    assert json.loads(line)["exception"][0]["exc_value"] == "why"


def test_a_requests_line_has_only_the_fields_of_its_kind() -> None:
    executed = Executed("new", {"Instances": [{"InstanceId": "i-1"}]}, differing=("A", "B"))
    exchange = Exchange("r-1", form={"Action": "RunInstances", "ClientToken": "a b"})
    line = RequestLine(exchange.answered(b"", executed), 0.0123)
    assert str(line) == (
        r"action=RunInstances account=- token='a\x20b' outcome=new status=200 code=- ms=12.3 "
        "request=r-1 differs=A,B instances=i-1"
    )
    assert str(line) == words(line.values())
    assert set(line.values()) < set(REQUEST.fields)
    assert json.loads(JsonFormatter().format(record(line)))["token"] == "a b"
    gone = RequestLine(exchange, None)
    assert str(gone) == words(gone.values())
    assert set(gone.values()) < set(REQUEST.fields)


def test_a_line_names_some_instances_of_a_large_launch() -> None:
    launched = [{"InstanceId": f"i-{number}"} for number in range(1_000)]
    exchange = Exchange("r-1", form={"Action": "RunInstances"})
    line = RequestLine(exchange.answered(b"", Executed("new", {"Instances": launched})), 0.0)
    assert line.values()["instances"].count(",") == 19
    assert len(str(line)) < 400


def test_families_and_events_have_names_of_their_own() -> None:
    assert len({one.name for one in FAMILIES}) == len(FAMILIES)
    assert len({one.name for one in EVENTS}) == len(EVENTS)


FOLDER = Path(__file__).parents[2] / "docs/observing"


def test_the_board_shows_metrics_that_there_are() -> None:
    board = json.loads((FOLDER / "dashboard.json").read_text())
    exprs = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    known = {one.name for one in FAMILIES}
    for expr in exprs:
        names = [word for word in expr.replace("{", "(").split("(") if "sametoken_" in word]
        for name in names:
            bare = name.split("[")[0].split(")")[0].strip()
            assert bare.removesuffix("_bucket") in known, expr


def test_the_scrape_configuration_is_yaml_with_a_job() -> None:
    found = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
    assert [job["job_name"] for job in found["scrape_configs"]] == ["sametoken"]


def test_names_end_as_prometheus_wants_them() -> None:
    for family in FAMILIES:
        assert family.name.startswith("sametoken_")
        assert family.name.endswith("_total") == (family.type is Type.COUNTER), family.name
