"""The first state of a server: accounts, limits, faults and resources, from a TOML file.

    faults = ["flaky-network"]

    [[account]]
    name = "team"
    access_key = "team:secret"

    [limits]
    "capacity/us-east-1a/t3.micro" = 2

    [[call]]
    name = "network"
    action = "CreateVpc"
    account = "team"
    region = "eu-west-1"
    parameters = { CidrBlock = "10.0.0.0/16" }

    [[call]]
    action = "CreateSubnet"
    account = "team"
    region = "eu-west-1"
    parameters = { VpcId = "${network.Vpc.VpcId}", CidrBlock = "10.0.1.0/24" }

All of it may be there already: a second start makes nothing twice.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from sametoken.errors import Misconfigured
from sametoken.faults.ready import scenarios
from sametoken.nearest import did_you_mean
from sametoken.operate import references
from sametoken.resources.catalogues.geography import REGIONS
from sametoken.settings import FIRST_ACCOUNT, GivenKey, read_access_key

V = TypeVar("V")

DEFAULT_REGION = "us-east-1"
_MEMBERS = ("account", "limits", "faults", "call")


@dataclass(frozen=True, slots=True)
class Asked:
    """A call: `where` it stands, for errors; parameters as boto3 takes them.

    Parameters may refer to the answers of earlier calls by their `name`, "" for none.
    """

    where: str
    action: str
    account: str
    region: str
    parameters: Mapping[str, Any]
    name: str = ""


@dataclass(frozen=True, slots=True)
class Initial:
    """Wishes of a file. `names` are of accounts without a key of their own."""

    file: Path
    names: tuple[str, ...] = ()
    keys: tuple[GivenKey, ...] = ()
    limits: Mapping[str, int | None] | None = None
    faults: tuple[str, ...] = ()
    calls: tuple[Asked, ...] = ()


def read_initial(file: Path) -> Initial:
    """Read a file. Raises `Misconfigured`, naming the file, the entry and what to write."""
    try:
        document = tomllib.loads(file.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(f"{file} cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise Misconfigured(f"{file} is not TOML: {error}") from None
    reader = _Reader(str(file))
    reader.check(document, _MEMBERS)
    found = [_account(one) for one in reader.tables(document, "account")]
    maxima = reader.member(document, "limits", dict, {})
    return Initial(
        file,
        tuple(name for name, key in found if key is None),
        tuple(key for _, key in found if key is not None),
        {name: _Reader(f"{file}, [limits]").whole(name, most) for name, most in maxima.items()},
        tuple(_fault(reader, file, one) for one in reader.member(document, "faults", list, [])),
        _calls(reader, document),
    )


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads members of a table, which errors call by the name `where`."""

    where: str

    def check(self, table: Mapping[str, Any], known: Collection[str]) -> None:
        for name in table:
            if name not in known:
                raise Misconfigured(
                    f"{self.where} knows no {name!r}; write {', '.join(known)}."
                    f"{did_you_mean(name, known)}"
                )

    def tables(self, document: Mapping[str, Any], name: str) -> list[tuple[_Reader, Any]]:
        """Return the tables of a list, each with its reader."""
        found = self.member(document, name, list, [])
        if not all(isinstance(one, dict) for one in found):
            raise Misconfigured(f"{self.where}: write a [[{name}]] for each {name}")
        return [
            (_Reader(f"{self.where}, [[{name}]] {number}"), one)
            for number, one in enumerate(found, start=1)
        ]

    def member(
        self, table: Mapping[str, Any], name: str, kind: type[V], default: V | None = None
    ) -> V:
        value = table.get(name, default)
        if value is None:
            raise Misconfigured(f"{self.where} lacks {name}; write {name} = {_EXAMPLES[kind]}")
        if not isinstance(value, kind):
            raise Misconfigured(f"{self.where}: {name} is {value!r}; write {_EXAMPLES[kind]}")
        return value

    def whole(self, name: str, value: Any) -> int:
        if type(value) is not int:
            raise Misconfigured(f"{self.where}: {name} is {value!r}; write a whole number")
        return value


_EXAMPLES: Mapping[type, str] = {str: '"a text"', list: '["a list"]', dict: "{ a = 1 }"}


def _account(entry: tuple[_Reader, Mapping[str, Any]]) -> tuple[str, GivenKey | None]:
    reader, table = entry
    reader.check(table, ("name", "access_key"))
    name = reader.member(table, "name", str)
    if "access_key" not in table:
        return name, None
    given = read_access_key(reader.member(table, "access_key", str))
    return name, GivenKey(given.id, given.secret, name)


def _fault(reader: _Reader, file: Path, named: object) -> str:
    """Return the name of a scenario, or the path of a file beside this one."""
    if not isinstance(named, str):
        raise Misconfigured(f"{reader.where}: faults has {named!r}; write names or files")
    return named if named in scenarios() else str(file.parent / named)


def _calls(reader: _Reader, document: Mapping[str, Any]) -> tuple[Asked, ...]:
    """Read the calls, each of which may refer to those before it."""
    calls: list[Asked] = []
    for one in reader.tables(document, "call"):
        asked, known = _call(one), [call.name for call in calls if call.name]
        if asked.name in known:
            raise Misconfigured(f"{asked.where}: a call before this one is {asked.name!r} already")
        try:
            references.check(asked.parameters, known)
        except Misconfigured as wrong:
            raise Misconfigured(f"{asked.where}: {wrong}") from None
        calls.append(asked)
    return tuple(calls)


def _call(entry: tuple[_Reader, Mapping[str, Any]]) -> Asked:
    reader, table = entry
    reader.check(table, ("action", "account", "region", "parameters", "name"))
    name = reader.member(table, "name", str, "")
    if name and not references.NAME.fullmatch(name):
        raise Misconfigured(
            f"{reader.where}: name is {name!r}; use letters, digits, dashes and underscores"
        )
    region = reader.member(table, "region", str, DEFAULT_REGION)
    if region not in REGIONS:
        hint = did_you_mean(region, REGIONS)
        raise Misconfigured(f"{reader.where}: there is no Region {region!r} here.{hint}")
    return Asked(
        reader.where,
        reader.member(table, "action", str),
        reader.member(table, "account", str, FIRST_ACCOUNT),
        region,
        reader.member(table, "parameters", dict, {}),
        name,
    )
