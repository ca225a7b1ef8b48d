"""Exposition: samples in the text formats that Prometheus reads, by its own library.

That is imported when somebody first asks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

from sametoken.counts import Family, Samples, Told, Type
from sametoken.server.asgi import Application, Message, Receive, Send, send_whole

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

METRICS = "/metrics"


def metrics_at(families: Sequence[Family], take: Callable[[], Awaitable[Told]]) -> Application:
    """Return an ASGI application that answers with what `take` returns."""

    async def answer(scope: Message, receive: Receive, send: Send) -> None:
        accepted = [value for name, value in scope["headers"] if name == b"accept"]
        accept = b",".join(accepted).decode("latin-1")
        samples = await take()
        content_type, body = await asyncio.to_thread(written, families, samples, accept)
        await send_whole(send, 200, content_type, body)

    return answer


def written(families: Sequence[Family], told: Told, accept: str = "") -> tuple[str, bytes]:
    """Write samples in the format that `accept` asks for; returns its type, and the text."""
    from prometheus_client.exposition import choose_encoder

    encode, content_type = choose_encoder(accept)
    return content_type, encode(_Collected(families, told))


class _Collected:
    """Samples as the library collects them from a registry."""

    def __init__(self, families: Sequence[Family], told: Told) -> None:
        self._families = families
        self._told = told

    def collect(self) -> Iterator[Metric]:
        for family in self._families:
            samples = self._told.get(family.name)
            if samples:
                yield _metric(family, samples)


def _metric(family: Family, samples: Samples) -> Metric:
    from prometheus_client.core import (
        CounterMetricFamily,
        GaugeMetricFamily,
        HistogramMetricFamily,
    )

    if family.type is Type.HISTOGRAM:
        spread = HistogramMetricFamily(family.name, family.says, labels=family.labels)
        ends = [*(f"{bound:g}" for bound in family.bounds), "+Inf"]
        for labels, (*buckets, total) in sorted(samples.items()):
            spread.add_metric(labels, list(zip(ends, accumulate(buckets), strict=True)), total)
        return spread
    make = CounterMetricFamily if family.type is Type.COUNTER else GaugeMetricFamily
    single = make(family.name, family.says, labels=family.labels)
    for labels, (number,) in sorted(samples.items()):
        single.add_metric(labels, number)
    return single
