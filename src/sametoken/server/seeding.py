"""The default VPC of an account, made in each Region at the account's first request there."""

from __future__ import annotations

from sametoken.resources.kit import regions
from sametoken.server.pools import Pools
from sametoken.server.writing import Writer
from sametoken.store.reading import Reads


class Seeding:
    """Makes default VPCs. For use from the event loop alone."""

    def __init__(self, store: Reads, writer: Writer, pools: Pools) -> None:
        self._store = store
        self._writer = writer
        self._pools = pools
        self._seeded: set[tuple[str, str]] = set()

    def is_done(self, account: str, region: str) -> bool:
        """Return whether the account is known to have its default VPC in the Region."""
        return (account, region) in self._seeded

    async def seed(self, account: str, region: str) -> None:
        """Return once the account has its default VPC in the Region. Asks the store."""
        place = (account, region)
        if not await self._pools.look_up(lambda: self._is_seeded(place)):
            await self._writer.seed(account, region)
        self._seeded.add(place)

    def _is_seeded(self, place: tuple[str, str]) -> bool:
        return self._store.read(lambda tx: regions.is_seeded(tx, *place))
