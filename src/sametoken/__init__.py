"""Create calls that are safe to retry: the engine, as a library.

Token, change and queued work commit in one transaction of the application's own database; a repeat
is answered from what the first request made. The engine, and SQLAlchemy with it, is loaded when the
first of its names is asked for; nothing else is. The control plane (`sametoken serve`) is behind
`sametoken.cli`, with dependencies of its own.
"""

from typing import TYPE_CHECKING

from sametoken.errors import (
    IdempotentParameterMismatch,
    InvalidClientToken,
    Misconfigured,
    SametokenError,
    ServiceError,
    Transient,
)

if TYPE_CHECKING:
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
else:
    # A type checker sees no `__getattr__`, so that it still refuses a name that is not here.
    def __getattr__(name: str) -> object:
        """Load the engine, and put all its names here, at the first that is asked for."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from sametoken import idempotency
        from sametoken.store.port import Tx

        engine = {one: getattr(idempotency, one) for one in idempotency.__all__}
        globals().update(engine, Tx=Tx)
        return globals()[name]

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})


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
