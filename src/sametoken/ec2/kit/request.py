"""A request as operations see it: its caller, Region and parameters. No HTTP, no bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class Request:
    """An authenticated, parsed and validated request.

    `params` are typed by the action's input shape and keep the request as sent: nothing is
    resolved or defaulted in it. `access` is what the access key may do, `full` or `read-only`.
    `prepared` is what the action's `prepare` made; it may be secret, so it is in no `repr`.
    `launches_late`: the account's accepted launches wait for too long, so no further one is taken.
    `full_zones` are without capacity for this request, because a fault says so. `origin` says where
    it came from, for people; `trace` is its place in a trace, if there is one.
    """

    account: str
    region: str
    action: str
    params: Mapping[str, Any]
    request_id: str
    access_key_id: str
    access: str
    prepared: Any = field(default=None, repr=False)
    launches_late: bool = False
    full_zones: tuple[str, ...] = ()
    origin: str | None = None
    trace: str = ""

    @property
    def place(self) -> tuple[str, str]:
        """The account and the Region, the topic of what `Tx.cached` keeps for them."""
        return self.account, self.region

    def with_params(self, **members: Any) -> Request:
        """The same request with other values for some parameters."""
        return replace(self, params={**self.params, **members})
