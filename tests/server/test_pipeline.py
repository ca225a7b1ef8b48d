"""The list of stages is the order of a request: of two flaws, the earlier stage's is told."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from ec2.protocol.signers import wire
from plane import LAUNCH, everything
from sametoken.errors import ServiceError, Transient
from sametoken.node import Node
from sametoken.operate.accounts import add_key
from sametoken.operate.opening import open_store
from sametoken.operate.preparing import prepared
from sametoken.server.choices import Choices
from sametoken.server.exchange import Exchange
from sametoken.server.pipeline import UNPROVEN_BYTES_MAX, Pipeline
from sametoken.server.rates import Rate
from sametoken.server.sealing import load_sealer
from sametoken.server.stages import Stage
from sametoken.settings import Settings, database_of
from sametoken.store.port import Store
from sametoken.world import RealWorld
from sdk import REGION

# TOLD is the refusal of a launch that is wrong in one stage, in the order of docs/ARCHITECTURE.md.
TOLD = {
    "path": "InvalidRequest",
    "form": "MalformedQueryString",
    "signature": "SignatureDoesNotMatch",
    "throttle": "RequestLimitExceeded",
    "parse": "InvalidParameterValue",
    "authorise": "UnauthorizedOperation",
    "dry run": "DryRunOperation",
    "transaction": "InvalidSubnetID.NotFound",
}
# More launches than a test sends; the Region whose tokens are spent has none left.
BURST = 60
SPENT_REGION = "eu-west-1"


@dataclass(frozen=True)
class Served:
    """A pipeline without a server, and its two callers: the second key may only read."""

    pipeline: Pipeline
    store: Store
    full: Any
    reader: Any

    def launch(self, *flaws: str) -> Exchange:
        """Ask for a launch that has these flaws, each named by the stage that refuses it."""
        form = {"Action": "RunInstances", "Version": "2016-11-15", "ClientToken": "flawed"}
        form |= {name: str(value) for name, value in LAUNCH.items()}
        if "parse" in flaws:
            form["ClientToken"] = "x" * 65
        if "dry run" in flaws:
            form["DryRun"] = "true"
        if "transaction" in flaws:
            form["SubnetId"] = "subnet-0123456789abcdef0"
        path = "other" if "path" in flaws else ""
        query = "?Odd=%zz" if "form" in flaws else ""
        type = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
        request = AWSRequest("POST", f"http://here/{path}{query}", headers=type, data=form)
        _, key, secret = self.reader if "authorise" in flaws else self.full
        credentials = Credentials(key, secret[::-1] if "signature" in flaws else secret)
        region = SPENT_REGION if "throttle" in flaws else REGION
        SigV4Auth(credentials, "ec2", region).add_auth(request)
        return asyncio.run(self._answer(Exchange("a request", wire(request))))

    async def _answer(self, exchange: Exchange) -> Exchange:
        said = self.pipeline.answer(exchange)
        return said if isinstance(said, Exchange) else await said

    def told(self, *flaws: str) -> str:
        """The code of the refusal, "-" for a launch."""
        reply = self.launch(*flaws).reply
        assert reply is not None
        return reply.code


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    file = tmp_path_factory.mktemp("pipeline") / "pipeline.db"
    # So slow that no token comes back while the tests run.
    choices = Choices(rates={"RunInstances": Rate(0.0001, BURST)})
    database = database_of(file)
    with open_store(database, RealWorld()) as store:
        engine = prepared(store, database, RealWorld())
        node = Node(Settings(database, runners=0, choices=choices), store, engine)
        sealer = load_sealer(database.key_file, create=False)
        full = store.run(lambda tx: add_key(tx, sealer, "flawed", access="full"))
        reader = store.run(lambda tx: add_key(tx, sealer, "flawed", access="read-only"))
        served = Served(node.app.pipeline, store, full, reader)
        # Its first request gives the account its default VPC.
        assert served.told("transaction") == TOLD["transaction"]
        while served.told("throttle", "parse") != TOLD["throttle"]:
            pass
        try:
            yield served
        finally:
            node.app.close()


@pytest.fixture
def served(started: Served) -> Iterator[Served]:
    stages = started.pipeline.stages
    yield started
    started.pipeline.stages = stages


def names(served: Served) -> list[str]:
    return [stage.name for stage in served.pipeline.stages]


def test_the_stages_stand_in_the_documented_order(served: Served) -> None:
    assert [name for name in names(served) if name in TOLD] == list(TOLD)
    assert len(set(names(served))) == len(names(served))


def test_of_two_flaws_the_one_of_the_earlier_stage_is_told_and_nothing_is_left(
    served: Served,
) -> None:
    before = everything(served.store)
    for name, code in TOLD.items():
        assert served.told(name) == code
    for flaws in combinations(TOLD, 2):
        earlier = min(flaws, key=names(served).index)
        if flaws == ("dry run", "transaction"):
            # A dry run looks up what the launch names.
            earlier = "transaction"
        assert served.told(*reversed(flaws)) == TOLD[earlier], flaws
    assert served.told(*TOLD) == TOLD["path"]
    assert everything(served.store) == before


def test_another_order_of_the_list_is_another_order_of_refusals(served: Served) -> None:
    assert served.told("authorise", "dry run") == TOLD["authorise"]
    stages = list(served.pipeline.stages)
    at, other = names(served).index("authorise"), names(served).index("dry run")
    stages[at], stages[other] = stages[other], stages[at]
    served.pipeline.stages = tuple(stages)
    assert served.told("authorise", "dry run") == TOLD["dry run"]


def test_a_stage_without_the_one_it_needs_is_a_bug_of_ours(served: Served) -> None:
    kept = (stage for stage in served.pipeline.stages if stage.name != "parse")
    served.pipeline.stages = tuple(kept)
    assert served.told() == "InternalError"


def test_a_stage_that_joins_sees_what_is_known_by_then_and_may_refuse(served: Served) -> None:
    seen: list[str] = []

    def look(exchange: Exchange) -> Exchange:
        assert exchange.principal is not None and exchange.admitted is None
        seen.append(f"{exchange.action} of {exchange.principal.account}")
        return exchange

    async def fail(exchange: Exchange) -> Exchange:
        await asyncio.sleep(0)
        raise Transient("a fault", ran=False)

    def refuse(exchange: Exchange) -> Exchange:
        raise ServiceError("Refused", "by a test")

    served.pipeline.insert(Stage("look", look), before="throttle")
    served.pipeline.insert(Stage("fail", fail), before="transaction")
    before = everything(served.store)
    assert served.told() == "Unavailable"
    assert served.told("signature") == TOLD["signature"]
    assert seen == [f"RunInstances of {served.full[0]}"]
    served.pipeline.insert(Stage("refuse", refuse), before="fail")
    assert served.told() == "Refused"
    assert everything(served.store) == before
    with pytest.raises(ValueError, match="no such stage"):
        served.pipeline.insert(Stage("late", look), before="no such stage")


def test_a_request_that_passes_every_stage_is_answered(served: Served) -> None:
    exchange = served.launch()
    assert exchange.reply is not None and exchange.reply.status == 200
    assert exchange.executed is not None and exchange.executed.attempt == "new"
    assert exchange.admitted is not None and exchange.admitted.client_token == "flawed"


def large(served: Served, sign: str) -> tuple[str, list[str]]:
    """Send a large body; return the refusal, and the stages that it came to."""
    form = "Action=DescribeInstances&Version=2016-11-15&" + "A=b&" * (UNPROVEN_BYTES_MAX // 4)
    type = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
    if sign.startswith("AWSAccessKeyId"):
        form += sign
    request = AWSRequest("POST", "http://here/", headers=type, data=form)
    _, key, secret = served.full
    if sign == "rightly":
        SigV4Auth(Credentials(key, secret), "ec2", REGION).add_auth(request)
    elif sign == "wrongly":
        SigV4Auth(Credentials(key, secret[::-1]), "ec2", REGION).add_auth(request)
    elif sign == "by nobody":
        SigV4Auth(Credentials("AKIANOBODY", secret), "ec2", REGION).add_auth(request)
    came: list[str] = []

    def note(exchange: Exchange) -> Exchange:
        came.append("form")
        return exchange

    served.pipeline.insert(Stage("note", note), before="form")
    reply = asyncio.run(served._answer(Exchange("a request", wire(request)))).reply
    assert reply is not None
    return reply.code, came


@pytest.mark.parametrize(
    ("sign", "code"),
    [
        ("not at all", "MissingParameter"),
        ("by nobody", "AuthFailure"),
        ("wrongly", "SignatureDoesNotMatch"),
        ("AWSAccessKeyId=AKIANOBODY", "AuthFailure"),
    ],
)
def test_a_large_body_of_nobodys_is_refused_before_it_is_parsed(
    served: Served, sign: str, code: str
) -> None:
    assert large(served, sign) == (code, [])


def test_a_large_body_that_is_proven_is_parsed(served: Served) -> None:
    code, came = large(served, "rightly")
    assert (code, came) == ("UnknownParameter", ["form"])
