"""Clients of boto3 for tests, each in milliseconds: what they send and understand is boto3's alone.

A client's class has a method for each of some 800 actions. botocore makes it anew for every client,
from a description that it reads with care for the order of its members. All clients made here share
one session, for which both are done once, and quickly. Clients that are made elsewhere are not
touched.
"""

from __future__ import annotations

import gc
import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import botocore.client
import orjson
from botocore.loaders import JSONFileLoader

# A session may be used by one thread at a time.
_MAKING = threading.Lock()
# Members of botocore's own, of which there is no public form. Without them all is slower, no more.
_MODEL, _CLASS = "_load_service_model", "_create_client_class"


def make(service: str, options: dict[str, Any]) -> Any:
    """Make a client of a service, with the options of `boto3.client`."""
    with _MAKING, _creating():
        made = _session().client(service, **options)
        _leave_uncollected(service)
    return made


@cache
def _session() -> boto3.session.Session:
    session = boto3.session.Session()
    session._session.get_component("data_loader").file_loader = FileLoader()
    return session


@cache
def _leave_uncollected(service: str) -> None:
    """Have Python's collector pass over what is there once a service's first client is made.

    The server and the service's model stay to the end: half of a client's cost would be to look
    through them again.
    """
    gc.freeze()


class FileLoader(JSONFileLoader):  # type: ignore[misc]  # botocore has no types
    """Reads descriptions in a third of the time."""

    def load_file(self, file_path: str) -> Any:
        packed, plain = Path(f"{file_path}.json.gz"), Path(f"{file_path}.json")
        if plain.is_file():
            return orjson.loads(plain.read_bytes())
        return orjson.loads(gzip.decompress(packed.read_bytes())) if packed.is_file() else None


class _Creator(botocore.client.ClientCreator):  # type: ignore[misc]  # botocore has no types
    """Makes the model and the class of a service once for the session here."""


def _once(name: str) -> None:
    """Have the creator here keep what botocore's method of that name makes for a service."""
    method = getattr(botocore.client.ClientCreator, name, None)
    if method is None:
        return
    made: dict[str, Any] = {}

    def find(creator: Any, service: str, *more: Any) -> Any:
        if creator._loader is not _session()._session.get_component("data_loader"):
            return method(creator, service, *more)
        if service not in made:
            made[service] = method(creator, service, *more)
        return made[service]

    setattr(_Creator, name, find)


for _name in (_MODEL, _CLASS):
    _once(_name)


@contextmanager
def _creating() -> Iterator[None]:
    """Have sessions make clients by the creator here, which does as botocore's for all but ours."""
    former = botocore.client.ClientCreator
    botocore.client.ClientCreator = _Creator
    try:
        yield
    finally:
        botocore.client.ClientCreator = former
