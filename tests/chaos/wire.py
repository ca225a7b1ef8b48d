"""A caller's way to the nodes: requests signed as SDKs sign them, on connections that are kept.

botocore signs and a plain connection sends: a whole SDK for each call would be most of the load.
"""

from __future__ import annotations

import http.client
import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from chaos.cluster import Account

_VERSION = "2016-11-15"
_FORM = "application/x-www-form-urlencoded; charset=utf-8"
# Names of a new resource in its answer: a reservation and its instances in order, else itself.
_NAMED = {
    "RunInstances": re.compile(r"(reservationId|instanceId)$"),
    "CreateVolume": re.compile(r"volumeId$"),
    "CreateNetworkInterface": re.compile(r"networkInterfaceId$"),
    "CreateRouteTable": re.compile(r"routeTableId$"),
    "CreateNetworkAcl": re.compile(r"networkAclId$"),
}
# LOST errors leave the outcome of a request unknown.
LOST = (OSError, http.client.HTTPException, ET.ParseError)


@dataclass(frozen=True, slots=True)
class Reply:
    """A status, and either ids or the code of a refusal."""

    status: int
    ids: tuple[str, ...]
    code: str


class Caller:
    """The key of an account, and one connection to each node. For one thread."""

    def __init__(self, account: Account, timeout_seconds: float) -> None:
        self._signer = SigV4Auth(
            Credentials(account.keys.access_key_id, account.keys.secret), "ec2", account.region
        )
        self._timeout_seconds = timeout_seconds
        self._connections: dict[int, http.client.HTTPConnection] = {}

    def ask(
        self,
        port: int,
        action: str,
        parameters: Mapping[str, str],
        *,
        invocation: str,
        attempt: int,
    ) -> Reply:
        """Send one try of a call and read its reply. Raises `LOST`."""
        connection = self._connections.get(port)
        if connection is None:
            connection = http.client.HTTPConnection(
                "127.0.0.1", port, timeout=self._timeout_seconds
            )
            self._connections[port] = connection
        body = urlencode({"Action": action, "Version": _VERSION, **parameters}).encode()
        headers = {
            "Content-Type": _FORM,
            "amz-sdk-invocation-id": invocation,
            "amz-sdk-request": f"attempt={attempt}",
        }
        request = AWSRequest("POST", f"http://127.0.0.1:{port}/", headers=headers, data=body)
        self._signer.add_auth(request)
        try:
            connection.request("POST", "/", body, dict(request.headers.items()))
            answer = connection.getresponse()
            return _reply(action, answer.status, answer.read())
        except LOST:
            # Drop the connection: the caller's next request must not read the rest of this reply.
            del self._connections[port]
            connection.close()
            raise

    def close(self) -> None:
        for connection in self._connections.values():
            connection.close()


def _reply(action: str, status: int, body: bytes) -> Reply:
    if not body:
        return Reply(status, (), "-")
    document = ET.fromstring(body)
    if status != http.client.OK:
        return Reply(status, (), next((one.text or "" for one in document.iter("Code")), "-"))
    named = _NAMED.get(action)
    if named is None:
        return Reply(status, (), "")
    texts = (one.text or "" for one in document.iter() if named.search(one.tag))
    return Reply(status, tuple(dict.fromkeys(texts)), "")
