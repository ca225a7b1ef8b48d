"""A front: the application behind an HTTP edge, from its start to the end of its drain."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from sametoken.counts import Told
from sametoken.server.app import App
from sametoken.server.edge import Edge


class Front:
    """An application and its edge, as the callers of one process meet them."""

    def __init__(self, app: App, edge: Edge, drain_seconds: float) -> None:
        self.app = app
        self._edge = edge
        self._drain_seconds = drain_seconds

    def told(self) -> Told:
        """Return what its counts are now."""
        return {**self.app.ends.counts.told(), **self._edge.counts.told()}

    async def serve(self, stop: asyncio.Event, drains: Callable[[], bool]) -> None:
        """Serve until `stop`; then answer /ready with no for `drain_seconds`, and end.

        `drains` says, then, whether there is time for that.
        """
        unready = asyncio.Event()
        serving = asyncio.create_task(self._edge.serve(unready))
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
            self.app.probes.is_ready = False
            if self._drain_seconds and drains() and not serving.done():
                await asyncio.wait({serving}, timeout=self._drain_seconds)
            unready.set()
            stopping.cancel()
            await serving
        finally:
            self.app.close()
