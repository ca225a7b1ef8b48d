"""Traces by OpenTelemetry, for a process whose environment names where they go.

`pip install 'sametoken[otel]'` brings the library, and the variables are its own, such as
OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_SERVICE_NAME and OTEL_TRACES_SAMPLER. Without a place to go,
the library is not imported, and nothing is traced.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from sametoken.errors import Misconfigured
from sametoken.spans import Span, Traces

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_NANOSECONDS = 1_000_000_000


def traces_of(environment: Mapping[str, str] = os.environ) -> Traces | None:
    """Return what takes spans to the endpoint that the environment names; None if it names none.

    Call it in the process that traces: a fork takes no thread along. Raises `Misconfigured` if the
    library is missing.
    """
    is_off = environment.get("OTEL_SDK_DISABLED", "").lower() == "true"
    if is_off or not any(environment.get(name) for name in ENDPOINTS):
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ModuleNotFoundError as missing:
        raise Misconfigured(
            f"{' or '.join(ENDPOINTS)} names where traces go, and {missing.name} is not here: pip "
            "install 'sametoken[otel]', or unset the variable."
        ) from missing
    return OpenTelemetry(BatchSpanProcessor(OTLPSpanExporter()))


class OpenTelemetry:
    """Hands spans to a processor of the library's, as the environment's sampler says."""

    def __init__(self, processor: SpanProcessor) -> None:
        from opentelemetry.sdk.resources import OTELResourceDetector, Resource
        from opentelemetry.sdk.trace import TracerProvider

        named = Resource({"service.name": "sametoken"}).merge(OTELResourceDetector().detect())
        provider = TracerProvider(resource=Resource.create().merge(named))
        self._resource = provider.resource
        self._sampler = provider.sampler
        self._processor = processor

    def emit(self, span: Span) -> None:
        from opentelemetry.sdk.trace import ReadableSpan
        from opentelemetry.sdk.trace.sampling import Decision
        from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

        sampled = self._sampler.should_sample(None, span.at.trace, span.name)
        if sampled.decision is not Decision.RECORD_AND_SAMPLE:
            return

        def context(id: int) -> SpanContext:
            flags = TraceFlags(TraceFlags.SAMPLED)
            return SpanContext(span.at.trace, id, is_remote=False, trace_flags=flags)

        status = Status(StatusCode.ERROR, span.error) if span.error else Status(StatusCode.UNSET)
        self._processor.on_end(
            ReadableSpan(
                span.name,
                context=context(span.at.span),
                parent=None if span.parent is None else context(span.parent),
                resource=self._resource,
                attributes=dict(span.attributes),
                kind=SpanKind.SERVER if "rpc.method" in span.attributes else SpanKind.INTERNAL,
                status=status,
                start_time=int(span.start * _NANOSECONDS),
                end_time=int(span.end * _NANOSECONDS),
            )
        )

    def close(self) -> None:
        self._processor.shutdown()
