"""The engine: create calls that are safe to repeat. It knows neither EC2 nor HTTP."""

from sametoken.derived import derive_token
from sametoken.idempotency.engine import Answer, Engine, Made, Operation, Together, sql_engine
from sametoken.idempotency.entries import Ledger
from sametoken.idempotency.fingerprint import Fingerprint, Rules
from sametoken.idempotency.joining import create_tables, join
from sametoken.idempotency.ledger import (
    RETENTION,
    Attempt,
    Call,
    Entry,
    Identities,
    Outcome,
    OutcomeState,
    Scope,
    decide,
)
from sametoken.idempotency.token import TokenGrammar

__all__ = [
    "RETENTION",
    "Answer",
    "Attempt",
    "Call",
    "Engine",
    "Entry",
    "Fingerprint",
    "Identities",
    "Ledger",
    "Made",
    "Operation",
    "Outcome",
    "OutcomeState",
    "Rules",
    "Scope",
    "Together",
    "TokenGrammar",
    "create_tables",
    "decide",
    "derive_token",
    "join",
    "sql_engine",
]
