"""Controls of one node: what a developer may do to it, as plain methods. For any thread.

Each method is done when it returns: what it has changed holds for every request from then on. All
raise a `SametokenError` that says what was wrong, and what to do.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from sametoken.control.links import Links
from sametoken.node import Node
from sametoken.operate import accounts, clock, limits, resetting, settling, snapshots
from sametoken.operate.accounts import Key
from sametoken.operate.clock import Told
from sametoken.operate.limits import Limit
from sametoken.operate.opened import Opened
from sametoken.operate.story.model import Story
from sametoken.operate.story.telling import tell
from sametoken.resources.account.accounts import Access
from sametoken.server.browsing import PREFIX
from sametoken.store.port import Store
from sametoken.world import mint_uuid


@dataclass(frozen=True, slots=True)
class NewKey:
    """An access key with its account: the 12 digits, and the name."""

    account: str
    name: str
    access_key_id: str
    secret_access_key: str


class Controls:
    """The controls of `node`, which runs in this process."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.links = Links(node.world)
        self.here: Opened[Store] = Opened(node.settings.database, node.store)

    def console_link(self) -> str:
        """Make a URL that lets one browser into the console, once."""
        return f"{self.node.url}{PREFIX}/sign-in?link={self.links.make()}"

    # The clock

    def clock(self) -> Told:
        """Tell the store's clock, and whether it is frozen."""
        return clock.look(self.here)

    def freeze(self) -> Told:
        """Have time stand still for all that is kept in the store; nothing if it does already."""
        clock.freeze(self.node.store)
        return self.clock()

    def resume(self) -> Told:
        """Let a frozen clock go on from where it stands; nothing if it goes."""
        clock.resume(self.node.store)
        return self.clock()

    def advance(self, by: timedelta) -> datetime:
        """Move the clock on, frozen or not, and return once all that falls due until then is done.

        Returns the moment that it has come to. Of two advances at once, one waits for the other.
        """
        node = self.node
        with node.moves_clock:
            ended = node.background.ended
            moment = settling.pass_time(node.store, node.engine, node.world, by, ended)
            if node.settings.database.file is None:
                # Its last heartbeat is as old as the span.
                node.store.run(node.beat)
        return moment

    # A fresh start

    def reset(self, account: str | None = None) -> None:
        """Remove all that an account has made, by name or 12 digits; of all accounts with None.

        Keys, limits and the clock stay.
        """
        id = "" if account is None else accounts.account_id(self.node.store, account)
        with self._anew(id):
            resetting.reset(self.node.store, account)

    def save(self, name: str) -> None:
        """Save the present state under a name that is new. On SQLite alone."""
        self._write_down()
        snapshots.save(self.here, name)

    def load(self, name: str) -> None:
        """Go back to a saved state: all rows, also of accounts and limits, and the clock."""
        with self._anew(""):
            snapshots.load(self.here, name)

    @contextmanager
    def _anew(self, account: str) -> Iterator[None]:
        """Have faults forget the account's calls, both those before the block and those in it.

        A request that is to come late would make anew what was undone, and an attempt that is
        written down late would tell of it.
        """
        self._write_down()
        self.node.faults.forget(account)
        try:
            yield
        finally:
            # Also after an error: it may have come after the COMMIT.
            self.node.faults.forget(account)

    def saved(self) -> list[str]:
        """List the names of saved states."""
        return snapshots.names(self.here)

    def forget(self, name: str) -> None:
        """Delete a saved state."""
        snapshots.delete(self.here, name)

    # Stories

    def stories(self, named: str, account: str | None = None) -> list[Story]:
        """Tell what became of a token, or of what a resource's or request's id leads to.

        Of all accounts, or of one by its 12 digits. All attempts that were answered are told.
        """
        self._write_down()
        return tell(self.here, named, account=account)

    def _write_down(self) -> None:
        self.node.journal.write(self.node.store)

    # Accounts and limits

    def new_account(
        self,
        name: str | None = None,
        *,
        access_key_id: str | None = None,
        secret_access_key: str | None = None,
        access: Access = "full",
    ) -> NewKey:
        """Make an access key: in the account of that name, or in a new one with a name of its own.

        The key's id and secret are random unless given.
        """
        named = name or f"account-{mint_uuid(self.node.world)}"
        made = accounts.create(
            self.here, named, access=access, access_key_id=access_key_id, secret=secret_access_key
        )
        account, id, secret = made
        return NewKey(account, named, id, secret)

    def accounts(self) -> list[Key]:
        """List every access key with its account."""
        return accounts.keys(self.here)

    def set_limits(self, maxima: dict[str, int | None]) -> None:
        """Hold each limit to its maximum, or with None to its default again: all, or none."""
        limits.set_maxima(self.here, maxima)

    def limits(self) -> list[Limit]:
        """List the limits that were set, and the defaults of the others."""
        return limits.limits(self.here)
