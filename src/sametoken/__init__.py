"""Create calls that are safe to retry: the engine, as a library.

Token, change and queued work commit in one transaction of the application's own database; a repeat
is answered from what the first request made. Importing this loads SQLAlchemy and nothing else; the
control plane (`sametoken serve`) is behind `sametoken.cli`, with dependencies of its own.
"""

from sametoken.errors import (
    IdempotentParameterMismatch,
    InvalidClientToken,
    Misconfigured,
    SametokenError,
    ServiceError,
    Transient,
)
from sametoken.idempotency import (
    RETENTION,
    Answer,
    Attempt,
    Call,
    Engine,
    Entry,
    Fingerprint,
    Identities,
    Ledger,
    Made,
    Operation,
    Outcome,
    OutcomeState,
    Rules,
    Scope,
    Together,
    TokenGrammar,
    create_tables,
    decide,
    derive_token,
    join,
    sql_engine,
)
from sametoken.store.port import Tx

__all__ = [
    "RETENTION",
    "Answer",
    "Attempt",
    "Call",
    "Engine",
    "Entry",
    "Fingerprint",
    "IdempotentParameterMismatch",
    "Identities",
    "InvalidClientToken",
    "Ledger",
    "Made",
    "Misconfigured",
    "Operation",
    "Outcome",
    "OutcomeState",
    "Rules",
    "SametokenError",
    "Scope",
    "ServiceError",
    "Together",
    "TokenGrammar",
    "Transient",
    "Tx",
    "create_tables",
    "decide",
    "derive_token",
    "join",
    "sql_engine",
]
