"""A console's site: the node that it shows, the door to it, and what a screen is.

Values and interfaces; no page is made here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

from sametoken.console.doors import Door, Tries
from sametoken.console.sessions import Sessions
from sametoken.console.watching import Watching
from sametoken.control.controls import Controls
from sametoken.operate.opened import Opened
from sametoken.store.reading import Reads
from sametoken.world import World

T = TypeVar("T")

# The members of a query or a form; of one that was given twice, the last.
Given = Mapping[str, str]


class Reading(Protocol):
    """Runs a function that reads, in a thread that callers' reads share with it."""

    def __call__(self, fn: Callable[[], T]) -> Awaitable[T]: ...


@dataclass(frozen=True, slots=True)
class Site:
    """A node as its console sees it.

    `controls` are for development mode; with None a screen shows, and changes nothing.
    """

    here: Opened[Reads]
    world: World
    door: Door
    sessions: Sessions
    tries: Tries
    read: Reading
    watching: Watching
    controls: Controls | None

    @property
    def ruled(self) -> Controls:
        assert self.controls is not None, "its screen is of development mode alone"
        return self.controls


@dataclass(frozen=True, slots=True)
class Screen:
    """A screen: its path below the console's, its title, and what its template shows.

    `show` reads, and is called in a reader's thread; it returns the values of the template. With
    `of_development` it is there in development mode alone, and with `in_menu` in the menu.
    """

    path: str
    title: str
    template: str
    show: Callable[[Site, Given], dict[str, object]]
    of_development: bool = False
    in_menu: bool = True


@dataclass(frozen=True, slots=True)
class Act:
    """An order of a form: its path, the screen that it belongs to, and what it does.

    `run` returns the word of what was done, which the screen then says. With `asks`, the sentence
    of a question that is put first, with the value of the form's first member in it.
    """

    path: str
    screen: str
    run: Callable[[Site, Given], str]
    asks: Callable[[Given], str] | None = None
