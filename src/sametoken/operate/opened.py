"""A database that use cases work on: each function of this package that has one takes it first.

A use case that changes nothing takes an `Opened[Reads]`, any other an `Opened[Store]`, which may
stand for the first. `operate.opening` makes them; so can a server, of the store it has open.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from sametoken.server.sealing import Sealer, load_sealer
from sametoken.settings import Database
from sametoken.store.reading import Reads

S_co = TypeVar("S_co", bound=Reads, covariant=True)


@dataclass(frozen=True, slots=True)
class Opened(Generic[S_co]):
    """A database and its store."""

    database: Database
    store: S_co

    @property
    def sealer(self) -> Sealer:
        """Reads the key anew, as another process may have changed it; never makes one.

        Raises `Misconfigured` when the key is not here.
        """
        return load_sealer(self.database.key_file, create=False)
