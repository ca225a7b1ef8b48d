"""Samples of a node: what happened in it since its start, and what waits."""

from __future__ import annotations

from sametoken.console.figures import Figures
from sametoken.console.site import Reading
from sametoken.console.watching import Sample
from sametoken.control.controls import Controls
from sametoken.operate import overview
from sametoken.operate.opened import Opened
from sametoken.server.app import App
from sametoken.store.reading import Reads
from sametoken.world import World


class Sampler:
    """Takes samples of the node whose application is `app`."""

    def __init__(
        self,
        here: Opened[Reads],
        app: App,
        read: Reading,
        controls: Controls | None,
        world: World,
    ) -> None:
        self._here = here
        self._world = world
        self._app = app
        self._read = read
        self._controls = controls
        self._figures = Figures()

    async def take(self) -> Sample | None:
        """Take a sample; None once the node is about to stop."""
        if not self._app.probes.is_ready:
            return None
        waiting = await self._read(lambda: overview.waiting(self._here))
        sample: Sample = {
            # Not the store's clock, which may stand, or leap.
            "at": self._world.now().timestamp(),
            "backlog": waiting.due,
            "under_way": waiting.under_way,
            "frozen": waiting.stands,
            "moves": waiting.moves,
        }
        if self._controls is not None:
            board = self._controls.node.faults
            sample["strikes"] = sum(one.fired for one in board.standing())
        told = await self._app.count_all()
        sample |= self._figures.since_last(told, self._world.monotonic())
        return sample
