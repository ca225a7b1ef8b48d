"""The engine in an API of your own: orders in SQLite, safe to repeat. Prints each step."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

import sametoken

ENGINE = sametoken.sql_engine()


def create_order(
    connection: sa.Connection, caller: str, token: str | None, body: dict[str, Any]
) -> sametoken.Answer[dict[str, Any]]:
    """Create an order once. Commit, then call `.get()` on the answer."""

    def perform(tx: sametoken.Tx) -> sametoken.Made:
        insert = sa.text("INSERT INTO orders (item, state) VALUES (:item, 'new') RETURNING id")
        order = tx.execute(insert, body).scalar_one()
        return sametoken.Made({"order": order}, resources=[f"order-{order}"])

    def view(tx: sametoken.Tx, identities: dict[str, Any]) -> dict[str, Any]:
        select = sa.text("SELECT id, item, state FROM orders WHERE id = :order")
        return dict(tx.execute(select, identities).one()._mapping)

    call = sametoken.Call(sametoken.Scope(caller, "", "CreateOrder"), token, body)
    return ENGINE.execute_once(sametoken.join(connection), call, sametoken.Operation(perform, view))


def main() -> None:
    database = sa.create_engine("sqlite://")
    with database.begin() as connection:
        sametoken.create_tables(connection)
        connection.execute(
            sa.text("CREATE TABLE orders (id INTEGER PRIMARY KEY, item TEXT, state TEXT)")
        )
    for item, state in (("tea", "new"), ("tea", "shipped"), ("coffee", "shipped")):
        with database.begin() as connection:
            connection.execute(sa.text("UPDATE orders SET state = :state"), {"state": state})
            answer = create_order(connection, "alice", "order-1", {"item": item})
        try:
            print(answer.attempt.value, answer.get())
        except sametoken.IdempotentParameterMismatch as mismatch:
            print("mismatch in", ", ".join(mismatch.fields))
    with database.begin() as connection:
        print("orders:", connection.execute(sa.text("SELECT count(*) FROM orders")).scalar_one())


if __name__ == "__main__":
    main()
