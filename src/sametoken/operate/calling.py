"""Calls of a node by botocore, before it answers anybody: requests and answers as boto3 has them.

Both pass the same stages as all others do, in this process and without a socket. Each has a client
token, or the invocation id that stands in for one, that follows from the call: made again, at
another start, it is a repeat.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from botocore.awsrequest import AWSPreparedRequest, AWSResponse, HeadersDict
from botocore.config import Config
from botocore.exceptions import ClientError, ParamValidationError
from botocore.session import Session

from sametoken.ec2.protocol.wire import WireRequest
from sametoken.errors import Misconfigured
from sametoken.idempotency import derive_token
from sametoken.nearest import did_you_mean
from sametoken.node import Node
from sametoken.operate import accounts, references
from sametoken.operate.initial import Asked
from sametoken.server import invocations
from sametoken.server.app import App
from sametoken.server.replies import Answer

# Leads nowhere: requests are taken before they would be sent.
_URL = "http://localhost/"
_IS_THERE = ".Duplicate"
_TOKEN = "ClientToken"  # noqa: S105 - the name of a parameter


def call_all(node: Node, calls: Sequence[Asked]) -> None:
    """Make the calls, one after another. Raises `Misconfigured` at the first that is refused."""
    asyncio.run(_call_all(node, calls))


async def _call_all(node: Node, calls: Sequence[Asked]) -> None:
    app = node.beforehand()
    caller = _Caller(app, asyncio.get_running_loop())
    made, answers = Counter[str](), dict[str, Any]()
    try:
        for one in calls:
            account, asked = _account(node, one), _resolved(one, answers)
            token = _token(asked, account, made)
            answer = await asyncio.to_thread(caller.call, asked, account, token)
            if one.name:
                answers[one.name] = answer
    finally:
        app.close()


def _resolved(asked: Asked, answers: Mapping[str, Any]) -> Asked:
    try:
        parameters = references.resolved(asked.parameters, answers)
    except Misconfigured as wrong:
        raise _refused(asked, str(wrong)) from wrong
    return replace(asked, parameters=parameters)


def _account(node: Node, asked: Asked) -> str:
    try:
        return accounts.account_id(node.store, asked.account)
    except Misconfigured as unknown:
        raise Misconfigured(f"{asked.where}: {unknown}") from unknown


def _token(asked: Asked, account: str, made: Counter[str]) -> str:
    """Derive the token of a call, another one for each of several that are alike."""
    text = json.dumps(asked.parameters, sort_keys=True, default=str)
    key = derive_token("initial", account, asked.region, asked.action, text)
    made[key] += 1
    return derive_token(key, str(made[key]))


class _Caller:
    """Clients of botocore, one for each account's Region, whose requests an application answers."""

    def __init__(self, app: App, loop: asyncio.AbstractEventLoop) -> None:
        self._app = app
        self._loop = loop
        self._session = Session()
        self._clients: dict[tuple[str, str], Any] = {}
        self._token = ""

    def call(self, asked: Asked, account: str, token: str) -> Any:
        """Make a call and return its answer; an empty one for what is there already."""
        client = self._client(account, asked.region)
        operations = {one: name for name, one in client.meta.method_to_api_mapping.items()}
        if asked.action not in operations:
            hint = did_you_mean(asked.action, operations)
            raise Misconfigured(f"{asked.where}: there is no action {asked.action!r}.{hint}")
        shape = client.meta.service_model.operation_model(asked.action).input_shape
        given = dict(asked.parameters)
        if shape is not None and _TOKEN in shape.members:
            given.setdefault(_TOKEN, token)
        self._token = token
        try:
            return getattr(client, operations[asked.action])(**given)
        except ClientError as refused:
            said = refused.response["Error"]
            # A key pair is there by its name alone: its answer is a secret, which no token keeps.
            if said["Code"].endswith(_IS_THERE):
                return {}
            raise _refused(asked, f"{said['Code']}: {said['Message']}") from refused
        except ParamValidationError as wrong:
            raise _refused(asked, " ".join(str(wrong).split())) from wrong

    def _client(self, account: str, region: str) -> Any:
        found = self._clients.get((account, region))
        if found is None:
            found = self._session.create_client(
                "ec2", region_name=region, endpoint_url=_URL,
                # The account's number is a key of its own where any credentials are taken.
                aws_access_key_id=account, aws_secret_access_key="any",  # noqa: S106 - no secret
                config=Config(retries={"total_max_attempts": 1}, parameter_validation=True),
            )  # fmt: skip
            found.meta.events.register("before-send.ec2", self._send)
            self._clients[account, region] = found
        return found

    def _send(self, request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        wire = self._wire(request)
        answer = asyncio.run_coroutine_threadsafe(self._answer(wire), self._loop).result()
        return AWSResponse(_URL, answer.status, HeadersDict(), _Raw(answer.body))

    def _wire(self, request: AWSPreparedRequest) -> WireRequest:
        headers = {
            name.lower().encode(): value if isinstance(value, bytes) else str(value).encode()
            for name, value in request.headers.items()
        }
        headers[b"host"] = urlsplit(_URL).netloc.encode()
        headers[invocations.HEADER.encode()] = self._token[:32].encode()
        body = request.body if isinstance(request.body, bytes) else str(request.body).encode()
        return WireRequest(request.method, b"/", b"", tuple(headers.items()), body)

    async def _answer(self, wire: WireRequest) -> Answer:
        told: asyncio.Future[Answer] = self._loop.create_future()
        self._app.answer(wire, told.set_result)
        return await told


@dataclass(frozen=True, slots=True)
class _Raw:
    """An answer's body, as botocore reads it."""

    body: bytes

    def stream(self) -> list[bytes]:
        return [self.body]


def _refused(asked: Asked, why: str) -> Misconfigured:
    return Misconfigured(
        f"{asked.where}: {asked.action} is refused: {why} Mend the entry and start again: what "
        "stands before it is there, and is made once."
    )
