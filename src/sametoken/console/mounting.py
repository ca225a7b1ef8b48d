"""Mounting the console on the application of a node, or of one of its edges.

Starlette and the templates are loaded at the first request for a page: a node that nobody looks at
pays a comparison for each request, and no more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import TypeVar

from sametoken.console.doors import Door, LinkDoor, PasswordDoor, Tries
from sametoken.console.guard import Guard
from sametoken.console.sampling import Sampler
from sametoken.console.sessions import Sessions
from sametoken.console.site import Site
from sametoken.console.watching import Watching, pause
from sametoken.control.controls import Controls
from sametoken.operate.opened import Opened
from sametoken.operate.opening import writing
from sametoken.server.app import App
from sametoken.server.asgi import Application, Message, Receive, Send
from sametoken.settings import Database
from sametoken.store.port import Store
from sametoken.store.reading import Reads
from sametoken.world import World

T = TypeVar("T")
# The reader that a page's reads count as, beside those of accounts.
_READER = "console"


def show_to_developer(controls: Controls) -> None:
    """Have a node in development mode show its console to those who have a link."""
    node = controls.node
    door = LinkDoor(controls.links, node.world)
    _mount(node.app, controls.here, door, node.world, controls)


def show_to_operators(app: App, store: Store | None, database: Database, world: World) -> None:
    """Have an application show the console to operators, who know the database's password.

    Without a `store`, the process does not write: to sign out, it opens the database as a command
    does.
    """
    here = Opened(database, app.store)
    opened = None if store is None else Opened(database, store)

    def write() -> AbstractContextManager[Opened[Store]]:
        return writing(database, world) if opened is None else nullcontext(opened)

    _mount(app, here, PasswordDoor(here, write, world), world, None)


def _mount(
    app: App,
    here: Opened[Reads],
    door: Door,
    world: World,
    controls: Controls | None,
) -> None:
    async def read(fn: Callable[[], T]) -> T:
        return await app.read(_READER, fn)

    sampler = Sampler(here, app, read, controls, world)
    site = Site(
        here, world, door, Sessions(door.keyring, world), Tries(world), read,
        Watching(sampler.take, pause), controls,
    )  # fmt: skip
    app.console = Guard(_Late(partial(_made, site)), is_here_alone=controls is not None)


def _made(site: Site) -> Application:
    from sametoken.console.screens import ACTS, SCREENS
    from sametoken.console.web import application

    is_development = site.controls is not None
    screens = [one for one in SCREENS if is_development or not one.of_development]
    return application(site, screens, ACTS if is_development else [])


class _Late:
    """An application that is made at its first request, in another thread."""

    def __init__(self, make: Callable[[], Application]) -> None:
        self._make = make
        self._making: asyncio.Future[Application] | None = None

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if self._making is None:
            self._making = asyncio.ensure_future(asyncio.to_thread(self._make))
        made = await asyncio.shield(self._making)
        await made(scope, receive, send)
