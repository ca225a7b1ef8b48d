"""The public names, pinned: adding one is a decision, losing one a breaking change."""

from __future__ import annotations

import subprocess
import sys

import pytest

import sametoken
from sametoken import errors, idempotency

ENGINE = {
    "RETENTION", "Answer", "Attempt", "Call", "Engine", "Entry", "Fingerprint", "Identities",
    "Ledger", "Made", "Operation", "Outcome", "OutcomeState", "Rules", "Scope", "Together",
    "TokenGrammar", "create_tables", "decide", "derive_token", "join", "sql_engine",
}  # fmt: skip
ERRORS = {
    "IdempotentParameterMismatch", "InvalidClientToken", "Misconfigured", "SametokenError",
    "ServiceError", "Transient",
}  # fmt: skip
# BELOW are names of lower layers that an application hands to the engine.
BELOW = {"Tx"}
# CONTROL_PLANE are packages that an application does not load when it imports the engine.
CONTROL_PLANE = {
    "alembic", "botocore", "boto3", "click", "cryptography", "httptools", "platformdirs", "rich",
}  # fmt: skip


def test_the_engine_offers_these_names() -> None:
    assert set(idempotency.__all__) == ENGINE


def test_the_package_offers_the_engine_and_its_errors() -> None:
    assert set(sametoken.__all__) == ENGINE | ERRORS | BELOW
    assert len(sametoken.__all__) == len(set(sametoken.__all__))


def test_every_error_of_ours_is_offered() -> None:
    assert {name for name, found in vars(errors).items() if isinstance(found, type)} == ERRORS


def test_a_name_offered_twice_is_one_thing() -> None:
    for name in ENGINE:
        assert getattr(sametoken, name) is getattr(idempotency, name)
    for name in ERRORS:
        assert getattr(sametoken, name) is getattr(errors, name)


def test_importing_the_package_loads_nothing_from_elsewhere() -> None:
    assert loaded_by("import sametoken") & {"sqlalchemy", *CONTROL_PLANE} == set()


def test_the_engine_loads_sqlalchemy_and_nothing_of_the_control_plane() -> None:
    loaded = loaded_by("from sametoken import Engine")
    assert loaded & CONTROL_PLANE == set()
    assert {"sametoken", "sqlalchemy"} <= loaded


def test_what_is_for_callers_loads_nothing_from_elsewhere() -> None:
    everything = "from sametoken.client import *"
    assert loaded_by(everything) & {"sqlalchemy", "orjson", *CONTROL_PLANE} == set()


def test_the_plugin_loads_pytest_and_nothing_else_from_elsewhere() -> None:
    loaded = loaded_by("import sametoken.testing, sametoken.testing.plugin")
    assert loaded & {"sqlalchemy", "orjson", *CONTROL_PLANE} == set()


def test_the_help_loads_what_prints_it_and_nothing_else() -> None:
    loaded = loaded_by("from sametoken.cli import main; main(['--help'], standalone_mode=False)")
    assert loaded & {"sqlalchemy", *CONTROL_PLANE} == {"click"}


def test_names_that_are_not_offered_are_refused() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'reconcile'"):
        _ = sametoken.reconcile  # type: ignore[attr-defined]  # that it is refused is the promise
    assert set(sametoken.__all__) <= set(dir(sametoken))


def loaded_by(program: str) -> set[str]:
    """The packages that a process has loaded once it has run `program`."""
    last = "import sys; print('', *{name.partition('.')[0] for name in sys.modules})"
    printed = subprocess.run(
        [sys.executable, "-c", f"{program}\n{last}"], capture_output=True, text=True, check=True
    ).stdout
    return set(printed.splitlines()[-1].split())
