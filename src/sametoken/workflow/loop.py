"""The loop of a background duty: do all that is due, wait for more, repeat.

Every exception is caught here, as in few other places (see `server.pipeline`): a bug that meets one
piece of work must not stop the others.
"""

from __future__ import annotations

import logging
import threading
from datetime import datetime
from typing import Protocol

from sametoken.errors import Transient
from sametoken.resources.kit import ripening
from sametoken.store.port import Store, Tx
from sametoken.world import World

log = logging.getLogger(__name__)

# The floor under every wake-up: work whose announcement was lost waits no longer than this.
POLL_SECONDS_MAX = 1.0
# A persisted due time and the wait for it round differently; this keeps a loop from spinning.
_POLL_SECONDS_MIN = 0.005


class Duty(Protocol):
    """A piece of background work that is repeated whenever something is due."""

    @property
    def channel(self) -> str:
        """The channel that commits wake when they make new work."""
        ...

    def run_once(self) -> bool:
        """Do all that is due now. False when nothing was."""
        ...

    def rest_seconds(self) -> float:
        """Seconds to leave before `run_once` again, so that more goes together."""
        ...

    def next_due(self, tx: Tx) -> datetime | None:
        """The moment when something will be due; None when nothing is planned."""
        ...


def run_duty(
    duty: Duty, store: Store, world: World, news: threading.Event, stop: threading.Event
) -> None:
    """Repeat the duty until `stop` is set, waiting in between for news or for the next due time.

    `news` listens to the duty's channel. To stop without delay, set `stop` first and then `news`.
    """
    while True:
        news.clear()
        if stop.is_set():
            return
        try:
            idle_seconds = 0.0 if duty.run_once() else seconds_to_next(duty, store)
        except Transient as busy:
            log.warning("%s: %s", duty.channel, busy)
            idle_seconds = POLL_SECONDS_MAX
        except Exception:
            log.exception("%s: our bug", duty.channel)
            idle_seconds = POLL_SECONDS_MAX
        if idle_seconds > 0:
            world.wait(news, idle_seconds)
        rest_seconds = duty.rest_seconds()
        if rest_seconds > 0:
            world.wait(stop, rest_seconds)


def seconds_to_next(duty: Duty, store: Store) -> float:
    """Seconds until something is due, as far as is known; at most the polling floor."""

    def ask(tx: Tx) -> float:
        moment = duty.next_due(tx)
        return POLL_SECONDS_MAX if moment is None else (moment - tx.now).total_seconds()

    return min(POLL_SECONDS_MAX, max(_POLL_SECONDS_MIN, store.read(ask)))


class Ripener:
    """The duty of `resources.kit.ripening`: resources that reach a state by themselves."""

    channel = ripening.CHANNEL

    def __init__(self, store: Store) -> None:
        self._store = store

    def run_once(self) -> bool:
        def is_due(tx: Tx) -> bool:
            moment = ripening.next_due(tx)
            return moment is not None and moment <= tx.now

        return self._store.read(is_due) and self._store.run(ripening.ripen_due) > 0

    def rest_seconds(self) -> float:
        return 0.0

    def next_due(self, tx: Tx) -> datetime | None:
        return ripening.next_due(tx)
