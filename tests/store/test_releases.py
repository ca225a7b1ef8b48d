"""Databases that earlier releases wrote, under today's code: see releases/README.md."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from botocore import xform_name
from botocore.exceptions import ClientError
from click.testing import CliRunner

from clients.process import until
from ec2.asking import described, wait
from exercises.catalogue import with_token
from plane import Plane, running_plane
from sametoken.cli import main
from sametoken.idempotency.tables import ENTRY, OTHER_ZONE
from sametoken.migrations.upgrade import current, head, upgrade
from sametoken.resources.kit import counters, rows, traits
from sametoken.resources.kit.traits import TRAIT
from sametoken.resources.network import default_vpc, vpcs
from sametoken.services.housekeeping import sweep
from sametoken.settings import KEY_FILE_VARIABLE, database_of
from sametoken.store.port import Tx
from sametoken.store.sqlite import change_schema
from sametoken.workflow.plans import PLANS
from sametoken.workflow.tokens import TokenForm, step_token
from sametoken.workflow.work import LEASE, WORK
from sdk import Keys
from store.releases.kept import FOLDER, STORES, Kept, Request, ids_in, loaded, releases

MISMATCH = "IdempotentParameterMismatch"
CASES = [(release, store) for release in releases() for store in STORES]


class Upgraded:
    """A release's database, served by today's code, and the answers that it must give."""

    def __init__(self, plane: Plane, kept: Kept, url: str) -> None:
        self.plane = plane
        self.kept = kept
        self.url = url
        self.client = plane.client(keys=Keys("", kept.access_key_id, kept.secret))

    def ask(self, request: Request, asked: dict[str, Any] | None = None) -> list[str] | str:
        """Send the request; return the ids in its answer, or the code of its refusal."""
        call = getattr(self.client, xform_name(request.action))
        try:
            return ids_in(call(**(asked or request.asked), ClientToken=request.token))
        except ClientError as refused:
            return str(refused.response["Error"]["Code"])

    def resources(self) -> int:
        query = sa.select(sa.func.count()).select_from(rows.RESOURCE)
        return self.plane.run(lambda tx: int(tx.execute(query).scalar_one()))

    def named(self, token: str) -> Request:
        return next(one for one in self.kept.requests if one.token == token)

    def instance(self, token: str) -> str:
        [id] = [id for id in self.named(token).ids if id.startswith("i-")]
        return id


@contextmanager
def upgraded(release: Path, store: str, folder: Path, **more: Any) -> Iterator[Upgraded]:
    database = loaded(release, store, folder)
    with running_plane(folder, database=database, **more) as plane:
        yield Upgraded(plane, Kept.of(release, store), database.url)


@pytest.fixture(scope="module", params=CASES, ids=lambda case: f"{case[0].name}-{case[1]}")
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Upgraded]:
    """Serve a release without runners, shared by tests that neither make nor end a resource."""
    release, store = request.param
    with upgraded(release, store, tmp_path_factory.mktemp("release"), runners=0) as made:
        yield made


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0].name}-{case[1]}")
def fresh(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Upgraded]:
    release, store = request.param
    with upgraded(release, store, tmp_path) as made:
        yield made


def test_every_token_is_answered_as_before_and_makes_nothing(served: Upgraded) -> None:
    before = served.resources()
    for request in served.kept.requests:
        answer = served.ask(request)
        if request.refusal is not None:
            assert answer == request.refusal, request.token
        else:
            # Later releases may show more ids.
            assert set(answer) >= set(request.ids), (request.token, answer)
    assert served.resources() == before


def test_every_token_still_refuses_another_intent(served: Upgraded) -> None:
    before = served.resources()
    answers = {one.token: served.ask(one, one.other) for one in served.kept.requests}
    assert set(answers.values()) == {MISMATCH}, answers
    assert served.resources() == before


def test_every_entry_holds_its_first_outcome_and_the_others_keep_theirs(
    served: Upgraded,
) -> None:
    def run(tx: Tx) -> tuple[int, list[tuple[str, str]], int]:
        empty = sa.select(sa.func.count()).where(ENTRY.c.state.is_(None))
        both = sa.select(ENTRY.c.zone, OTHER_ZONE.c.zone).join_from(ENTRY, OTHER_ZONE)
        flagged = sa.select(sa.func.count()).where(ENTRY.c.has_other_zones)
        pairs = [(one[0], one[1]) for one in tx.execute(both)]
        return tx.execute(empty).scalar_one(), pairs, tx.execute(flagged).scalar_one()

    empty, pairs, flagged = served.plane.run(run)
    assert empty == 0
    assert len(pairs) == flagged == 1, "one token acted in two zones"
    assert pairs[0][0] != pairs[0][1]


def test_a_token_is_explained(served: Upgraded, monkeypatch: pytest.MonkeyPatch) -> None:
    key_file = served.plane.node.settings.database.key_file
    monkeypatch.setenv(KEY_FILE_VARIABLE, str(key_file))
    done = CliRunner().invoke(main, ["tokens", "explain", "repeated", "--database", served.url])
    assert done.exit_code == 0, done.output
    assert served.instance("repeated") in done.stdout
    assert 'asked InstanceType = "t3.micro"' in done.stdout
    assert "attempt 3" in done.stdout
    assert "differs in InstanceType" in done.stdout
    assert "secret" not in done.stdout


def test_a_kept_release_is_this_version_whole_or_an_earlier_one(tmp_path: Path) -> None:
    """A release is kept under the number of the version that wrote it, and frozen after that."""
    this = version("sametoken")
    release = FOLDER / this
    if not release.exists():
        assert all(numbers(one.name) < numbers(this) for one in releases())
        return
    for name in ("kept", "today"):
        (tmp_path / name).mkdir()
    kept = loaded(release, "sqlite", tmp_path / "kept")
    today = database_of(tmp_path / "today" / "plane.db")
    assert kept.file is not None and today.file is not None
    change_schema(today.file, upgrade)
    assert tables(kept.file) == tables(today.file), "see releases/README.md"
    for store in STORES:
        found = {one.action for one in Kept.of(release, store).requests}
        assert found == set(with_token()), "see releases/README.md"


def numbers(version: str) -> tuple[int, ...]:
    """Return the leading numbers of a version, for comparison: (0, 2, 0) of `0.2.0.dev0`."""
    return tuple(int(part) for part in version.split(".") if part.isdecimal())


def tables(file: Path) -> dict[str, str]:
    """Return the SQL of each table and index of a SQLite file."""
    query = "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"
    with closing(sqlite3.connect(file)) as connection:
        return {name: " ".join(sql.split()) for name, sql in connection.execute(query)}


def test_its_rows_have_the_traits_and_names_that_todays_have(served: Upgraded) -> None:
    def compare(tx: Tx) -> None:
        every = [rows.from_record(found) for found in tx.execute(rows.STORED)]
        derived = {(row.id, *trait) for row in every for trait in traits.of(row)}
        stored = tx.execute(sa.select(TRAIT))
        assert {(one.resource_id, one.name, one.value, one.gone_at) for one in stored} == derived
        assert {"SubnetId", "ReservationId"} <= {one[1] for one in derived}
        assert any(one[3] is not None for one in derived), "a tombstone that lingers has some"
        place = next((row.account, row.region) for row in every if row.kind == "instance")
        default = default_vpc.find(tx, *place)
        assert default is not None and default.doc["IsDefault"]
        assert {row.id for row in default_vpc.subnets(tx, *place)} == {
            row.id
            for row in every
            if row.kind == "subnet" and row.gone_at is None and row.doc["DefaultForAz"]
        }
        assert vpcs.default_dhcp_options(tx, *place) == default.doc["DhcpOptionsId"]

    served.plane.run(compare)


def test_the_schema_is_todays(served: Upgraded) -> None:
    assert served.plane.run(lambda tx: current(tx.connection)) == head()


def test_what_was_under_way_is_driven_on(fresh: Upgraded) -> None:
    instances = {token: fresh.instance(token) for token in fresh.kept.under_way}
    assert len(instances) == 3
    # The runner of one of them died, so its lease must run out first.
    fresh.plane.advance(LEASE)
    wait(fresh.client, "instance_running", *instances.values())
    wait(fresh.client, "instance_terminated", fresh.kept.ending)
    for token, id in instances.items():
        assert id in fresh.ask(fresh.named(token))
        assert described(fresh.client, id)["BlockDeviceMappings"]
    assert described(fresh.client, fresh.instance("stopped"))["State"]["Name"] == "stopped"
    fresh.client.start_instances(InstanceIds=[fresh.instance("stopped")])
    wait(fresh.client, "instance_running", fresh.instance("stopped"))


def steps_taken(fresh: Upgraded, id: str, form: TokenForm, plan: str, epoch: int) -> int:
    """Count the entries of a plan's steps that the services keep under tokens of that form."""
    tokens = [
        step_token(form, id, epoch, step.name, service)
        for step in PLANS[plan].steps
        for service in step.services
    ]
    query = sa.select(sa.func.count()).where(ENTRY.c.client_token.in_(tokens))
    return fresh.plane.run(lambda tx: int(tx.execute(query).scalar_one()))


def test_a_launch_under_way_goes_on_with_its_step_tokens_and_the_next_plan_has_new_ones(
    fresh: Upgraded,
) -> None:
    ids = [fresh.instance(token) for token in fresh.kept.under_way]
    stopped = fresh.instance("stopped")
    [(epoch,)] = fresh.plane.run(
        lambda tx: tx.execute(sa.select(WORK.c.epoch).where(WORK.c.instance == stopped)).all()
    )
    fresh.plane.advance(LEASE)
    wait(fresh.client, "instance_running", *ids)
    steps = len(PLANS["launch"].steps)
    for id in ids:
        assert steps_taken(fresh, id, TokenForm.HASHED, "launch", 0) == steps
        assert steps_taken(fresh, id, TokenForm.READABLE, "launch", 0) == 0
    fresh.client.start_instances(InstanceIds=[stopped])
    wait(fresh.client, "instance_running", stopped)
    steps = len(PLANS["start"].steps)
    assert steps_taken(fresh, stopped, TokenForm.READABLE, "start", epoch + 1) == steps
    assert steps_taken(fresh, stopped, TokenForm.HASHED, "start", epoch + 1) == 0


def test_a_launch_that_met_a_limit_is_made_by_its_token_once_it_may_be(fresh: Upgraded) -> None:
    failed = fresh.named("failed")
    zone = failed.asked["Placement"]["AvailabilityZone"]
    fresh.plane.run(partial(counters.set_maximum, name=f"capacity/{zone}/c5.large", maximum=1))
    made = fresh.ask(failed)
    assert any(id.startswith("i-") for id in made)
    assert set(fresh.ask(failed)) >= set(made)


def test_tokens_are_forgotten_in_their_time_and_not_before(fresh: Upgraded) -> None:
    terminated = fresh.instance("terminated")

    def swept(tx: Tx) -> bool:
        sweep(tx, fresh.plane.node.engine)
        return not rows.by_ids(tx, [terminated])

    fresh.plane.advance(timedelta(hours=23))
    assert not fresh.plane.run(swept)
    assert terminated in fresh.ask(fresh.named("terminated"))
    fresh.plane.advance(timedelta(hours=2))
    until(lambda: fresh.plane.run(swept), "its retention is over")
    assert terminated not in fresh.ask(fresh.named("terminated"))
    assert set(fresh.ask(fresh.named("repeated"))) >= set(fresh.named("repeated").ids)
