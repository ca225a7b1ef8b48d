"""The value that stages pass on: a request with all that is known of it, and at last its reply.

Each stage of `pipeline` takes an `Exchange` and returns one in which more fields are set.
"""

from __future__ import annotations

from typing import NamedTuple, TypeVar

from sametoken.ec2.protocol.query import Form
from sametoken.ec2.protocol.signing import Signature
from sametoken.ec2.protocol.wire import WireRequest
from sametoken.ec2.protocol.xml import CONTENT_TYPE, render_error
from sametoken.errors import ServiceError
from sametoken.faults.rules import Rule
from sametoken.server import identity
from sametoken.server.admission import Admitted
from sametoken.server.credentials import Principal
from sametoken.server.execution import Executed

T = TypeVar("T")

# The longest name of an action has 64 characters; a caller's text is cut to that before it is
# counted or logged.
ACTION_CHARACTERS_MAX = 64


class Reply(NamedTuple):
    """An answer as it is sent. `code` is the error's code, "-" for a result."""

    status: int
    body: bytes
    code: str = "-"
    content_type: str = CONTENT_TYPE


class Exchange(NamedTuple):
    """A request and its answer. A field is None until the stage that finds it out has run.

    `principal` is set once the signature is proven, `admitted` once the parameters are valid. It is
    a named tuple because each stage makes another one: that costs half of what it does for a frozen
    dataclass. `strikes` are the faults that struck it. `received` is when it came, in seconds since
    1970 by the store's clock.
    """

    request_id: str
    wire: WireRequest | None = None
    form: Form | None = None
    signature: Signature | None = None
    principal: Principal | None = None
    admitted: Admitted | None = None
    executed: Executed | None = None
    reply: Reply | None = None
    strikes: tuple[Rule, ...] = ()
    received: float = 0.0

    @property
    def action(self) -> str:
        """Return the action's name as the caller sent it, "-" without; it may not exist."""
        return (self.form or {}).get("Action", "-")[:ACTION_CHARACTERS_MAX]

    @property
    def outcome(self) -> str:
        """Return what came of it, for the log: its attempt, or `refused`."""
        return self.executed.attempt if self.executed is not None else "refused"

    def answered(self, body: bytes, executed: Executed | None = None) -> Exchange:
        """Return the exchange with a result as its reply; `executed` if that was not known yet."""
        return self._replace(reply=Reply(200, body), executed=executed or self.executed)

    def refused(self, error: ServiceError) -> Exchange:
        """Return the exchange with `error` as its reply, in the XML of the service asked."""
        protocol = "query" if identity.is_for_sts(self.form or {}) else "ec2"
        body = render_error(protocol, error, self.request_id)
        return self._replace(reply=Reply(error.http_status, body, error.code))


def known(value: T | None) -> T:
    """Return a field of an exchange that an earlier stage has set. Asserts that it is set."""
    assert value is not None, "a stage runs before the one it needs"
    return value
