"""Traces: the attempts of a call and the steps of its launch, under one root, on whatever node."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from faults.struck import ask, launch_form, rule, usual
from plane import LAUNCH, Plane, running_plane
from sametoken.errors import Misconfigured
from sametoken.spans import Context, Span, trace_of
from sametoken.tracing import OpenTelemetry, traces_of
from sametoken.workflow.mishaps import Mishaps
from sametoken.workflow.plans import PLANS
from sametoken.workflow.runner import Runner
from sametoken.workflow.telling import Telling
from sametoken.workflow.tracing import Tracing

STEPS = [step.name for step in PLANS["launch"].steps]
INVOCATION = "0efb8ab2-1111-4222-8333-444455556666"


class Traced:
    """A plane whose spans stay in memory, and whose launches are driven by hand."""

    def __init__(self, plane: Plane, exporter: InMemorySpanExporter) -> None:
        self.plane = plane
        self.exporter = exporter
        self.traces = OpenTelemetry(SimpleSpanProcessor(exporter))

    def drive(self) -> None:
        """Drive by a runner that knows nothing of the requests."""
        node = self.plane.node
        runner = Runner(
            self.plane.store, node.services, node.world, node.backlog, Mishaps(node.faults),
            telling=Telling(Tracing(self.traces, node.world)),
        )  # fmt: skip
        while runner.run_once():
            pass

    def spans(self) -> list[Any]:
        return list(self.exporter.get_finished_spans())

    def named(self, name: str) -> list[Any]:
        return [span for span in self.spans() if span.name == name]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traced]:
    exporter = InMemorySpanExporter()
    with pytest.MonkeyPatch.context() as patch:
        traces = OpenTelemetry(SimpleSpanProcessor(exporter))
        patch.setattr("sametoken.node.traces_of", lambda: traces)
        with running_plane(tmp_path_factory.mktemp("traced"), dev=True, runners=0) as plane:
            yield Traced(plane, exporter)


@pytest.fixture
def traced(shared: Traced) -> Traced:
    shared.plane.node.faults.clear()
    shared.exporter.clear()
    return shared


def parents(spans: list[Any]) -> dict[int, int | None]:
    return {
        span.context.span_id: None if span.parent is None else span.parent.span_id for span in spans
    }


def test_three_attempts_and_the_steps_of_their_launch_have_one_root(traced: Traced) -> None:
    plane = traced.plane
    keys = plane.account("three")
    plane.node.faults.add(
        [rule("unavailable", attempt=1, name="first"), rule("lose-reply", attempt=2, name="second")]
    )
    ec2 = usual(plane, keys)
    [instance] = ec2.run_instances(**LAUNCH, ClientToken="three")["Instances"]
    traced.drive()
    spans = traced.spans()
    above = parents(spans)
    assert len(above) == len(spans), "each span has an id of its own"
    assert len({span.context.trace_id for span in spans}) == 1
    [root] = [id for id, parent in above.items() if parent is None]
    [call] = traced.named("call RunInstances")
    assert call.context.span_id == root

    attempts = traced.named("RunInstances")
    assert [one.attributes["sametoken.outcome"] for one in attempts] == ["refused", "new", "replay"]
    assert [one.attributes.get("sametoken.faults") for one in attempts] == ["first", "second", None]
    assert {above[one.context.span_id] for one in attempts} == {root}

    [launch] = traced.named("launch")
    assert above[launch.context.span_id] == attempts[1].context.span_id, "which made it"
    assert launch.attributes["sametoken.instance"] == instance["InstanceId"]
    done = [span for span in spans if span.name in STEPS]
    assert {span.name for span in done} == set(STEPS)
    assert {above[span.context.span_id] for span in done} == {launch.context.span_id}
    assert all(span.start_time <= span.end_time for span in spans)


def test_a_launch_that_is_undone_is_a_span_with_its_error(traced: Traced) -> None:
    traced.plane.node.faults.add([rule("fail-step", step="make-volumes", attempt=1),
                                  rule("boot-fails")])  # fmt: skip
    ec2 = traced.plane.client()
    ec2.run_instances(**LAUNCH, ClientToken="undone")
    traced.drive()
    traced.plane.advance(timedelta(seconds=30))
    traced.drive()
    [launch] = traced.named("launch")
    assert launch.status.description == "Server.InternalError"
    tries = traced.named("make-volumes")
    assert [one.attributes["sametoken.tries"] for one in tries] == [1, 2]
    assert [one.status.is_ok for one in tries] == [False, True]
    [back] = traced.named("release-volumes")
    assert back.parent.span_id == launch.context.span_id, "the way back is in the trace as well"


def test_a_callers_own_trace_has_its_attempts(traced: Traced) -> None:
    plane, keys = traced.plane, traced.plane.account("own")
    trace, span = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    sent = {"traceparent": f"00-{trace}-{span}-01", "amz-sdk-invocation-id": INVOCATION}
    ask(plane, keys, launch_form("own"), sent)
    [attempt] = traced.spans()
    assert f"{attempt.context.trace_id:032x}" == trace
    assert f"{attempt.parent.span_id:016x}" == span
    ask(plane, keys, launch_form("own"), {"traceparent": f"00-{trace}-{span}-00"})
    assert len(traced.spans()) == 1, "it wants no spans"


def test_one_invocation_id_of_two_accounts_is_two_traces(traced: Traced) -> None:
    sent = {"amz-sdk-invocation-id": INVOCATION, "amz-sdk-request": "attempt=1; max=3"}
    form = {"Action": "DescribeRegions", "Version": "2016-11-15"}
    accounts = [traced.plane.account(name) for name in ("one", "other")]
    for keys in accounts:
        ask(traced.plane, keys, form, sent)
    found = {span.context.trace_id for span in traced.named("DescribeRegions")}
    assert found == {trace_of("call", keys.account, INVOCATION) for keys in accounts}
    assert len(traced.named("call DescribeRegions")) == 2


def test_without_an_endpoint_nothing_is_traced() -> None:
    assert traces_of({}) is None
    assert traces_of({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}) is None
    named = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "True"}
    assert traces_of(named) is None


def test_an_endpoint_without_the_library_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace.export", None)
    with pytest.raises(Misconfigured, match=r"sametoken\[otel\]"):
        traces_of({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"})


def test_a_sampler_of_the_environment_is_heeded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    exporter = InMemorySpanExporter()
    traces = OpenTelemetry(SimpleSpanProcessor(exporter))
    traces.emit(Span("x", Context(1, 1), None, 0.0, 1.0, {}))
    assert not exporter.get_finished_spans()
    traces.close()


def test_a_spans_resource_is_this_program(monkeypatch: pytest.MonkeyPatch) -> None:
    exporter = InMemorySpanExporter()
    for name in ("sametoken", "mine"):
        if name == "mine":
            monkeypatch.setenv("OTEL_SERVICE_NAME", name)
        OpenTelemetry(SimpleSpanProcessor(exporter)).emit(
            Span("x", Context(1, 1), None, 0.0, 1.0, {})
        )
    found: list[ReadableSpan] = list(exporter.get_finished_spans())
    assert [one.resource.attributes["service.name"] for one in found] == ["sametoken", "mine"]
