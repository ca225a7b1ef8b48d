"""The ledger's SQL, written by hand for both databases. Values are numbers, texts and JSON texts.

It must run on SQLite 3.37, the oldest of the Pythons that are supported. `_SPELLED` has the words
that PostgreSQL spells otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping

from sametoken.idempotency.ledger import RETENTION
from sametoken.idempotency.tables import ATTEMPTS_KEPT, ENTRY, RETAINED
from sametoken.store.dialects import Text, inserting

# Words in braces, as SQLite and as PostgreSQL spell them. PostgreSQL must be told the types of
# values that no column tells it.
_SPELLED: Mapping[str, tuple[str | list[str], str | list[str]]] = {
    "json": ("?", "CAST(? AS json)"),
    "number": ("?", "CAST(? AS bigint)"),
    "text": ("?", "CAST(? AS text)"),
    # A row, with the column `value`, for each element of a JSON list.
    "texts": ("json_each(?)", "json_array_elements_text(CAST(? AS json)) AS one(value)"),
    "elements": ("json_each(?)", "json_array_elements(CAST(? AS json)) AS one(value)"),
    "numbers": (
        "(SELECT value FROM json_each(?))",
        "(SELECT CAST(value AS bigint) FROM json_array_elements_text(CAST(? AS json))"
        " AS one(value))",
    ),
    # The members of an element that is itself a list, by their places.
    "text_of": (
        [f"json_extract(value, '$[{place}]')" for place in range(11)],
        [f"(value ->> {place})" for place in range(11)],
    ),
    "json_of": (
        [f"json_extract(value, '$[{place}]')" for place in range(11)],
        [f"CAST(value ->> {place} AS json)" for place in range(11)],
    ),
    "lock": ("", " FOR UPDATE"),
    "lock_in_order": (
        "",
        " ORDER BY client_token, account, region, action FOR UPDATE OF idempotency_entry",
    ),
    "lock_free": ("", " FOR UPDATE SKIP LOCKED"),
}
# Parts that several statements share, alike for both.
_SHARED = {
    "key": "client_token = ? AND account = ? AND region = ? AND action = ?",
    "outcome": "zone, state, rules_version, key_id, CAST(digests AS text), CAST(plain AS text),"
    " CAST(identities AS text), request_id, origin, recorded_at",
    "kept": str(ATTEMPTS_KEPT),
    "retention": f"{RETENTION.total_seconds():.0f}",
    "listed": "SELECT claimed_at, account, region, action, client_token, state, expires_at"
    " FROM idempotency_entry",
}
# The end of an entry's retention, from a moment on; NULL while a resource holds the entry.
_EXPIRY = (
    "CASE WHEN EXISTS (SELECT 1 FROM idempotency_resource AS held"
    " WHERE held.entry_id = idempotency_entry.id AND held.ended_at IS NULL) THEN NULL"
    " ELSE {number} + coalesce(retention_seconds, {retention}) * 1000000 END"
)


def _written(sql: str) -> Text:
    sqlite, postgresql = (
        sql.replace("{expiry}", _EXPIRY).format(
            **_SHARED, **{word: both[side] for word, both in _SPELLED.items()}
        )
        for side in (0, 1)
    )
    return Text(sqlite, postgresql)


# -- claim, find, settle ------------------------------------------------------------------------

CLAIM = _written(
    "INSERT INTO idempotency_entry"
    " (client_token, account, region, action, claimed_at, retention_seconds)"
    " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING RETURNING id"
)
FIND = _written("SELECT id, has_other_zones, {outcome} FROM idempotency_entry WHERE {key}")
# PostgreSQL logs the lock, so the commit of a replay that writes nothing else waits for the
# synchronous standby, as every commit does: an answer must not tell of what a failover may undo.
LOCK = _written("SELECT id, has_other_zones, {outcome} FROM idempotency_entry WHERE {key}{lock}")
# Locks in the order in which tokens are claimed.
LOCK_MANY = _written(
    "SELECT client_token, account, region, action, idempotency_entry.id, has_other_zones, {outcome}"
    " FROM {elements} JOIN idempotency_entry ON client_token = {text_of[0]}"
    " AND account = {text_of[1]} AND region = {text_of[2]} AND action = {text_of[3]}"
    "{lock_in_order}"
)
# The keys that have entries, of those that are listed.
TAKEN = _written(
    "SELECT client_token, account, region, action"
    " FROM {elements} JOIN idempotency_entry ON client_token = {text_of[0]}"
    " AND account = {text_of[1]} AND region = {text_of[2]} AND action = {text_of[3]}"
)
FIND_OTHERS = _written(
    "SELECT {outcome} FROM idempotency_other_zone WHERE entry_id = ? ORDER BY zone"
)
KEEP = inserting(RETAINED, "resource_id", "entry_id")
# Claim and outcome in one row, where nobody else could have claimed meanwhile.
ENTER = inserting(
    ENTRY, "id", "client_token", "account", "region", "action", "claimed_at", "retention_seconds",
    "zone", "state", "rules_version", "key_id", "digests", "plain", "identities", "request_id",
    "origin", "recorded_at", "expires_at",
)  # fmt: skip
NEXT_ID = Text("SELECT coalesce(max(id), 0) + 1 FROM idempotency_entry")
# The first outcome, of an entry that nothing but what it makes holds.
RECORD_FIRST = _written(
    "UPDATE idempotency_entry SET zone = ?, state = ?, rules_version = ?, key_id = ?,"
    " digests = {json}, plain = {json}, identities = {json}, request_id = ?, origin = ?,"
    " recorded_at = ?,"
    " expires_at = ? WHERE id = ?"
)
RECORD = _written(
    "UPDATE idempotency_entry SET zone = ?, state = ?, rules_version = ?, key_id = ?,"
    " digests = {json}, plain = {json}, identities = {json}, request_id = ?, origin = ?,"
    " recorded_at = ?,"
    " expires_at = {expiry} WHERE id = ?"
)
RECORD_OTHER = _written(
    "INSERT INTO idempotency_other_zone (zone, state, rules_version, key_id,"
    " digests, plain, identities, request_id, origin, recorded_at, entry_id)"
    " VALUES (?, ?, ?, ?, {json}, {json}, {json}, ?, ?, ?, ?)"
    " ON CONFLICT (entry_id, zone) DO UPDATE SET state = excluded.state,"
    " rules_version = excluded.rules_version, key_id = excluded.key_id,"
    " digests = excluded.digests, plain = excluded.plain, identities = excluded.identities,"
    " request_id = excluded.request_id, origin = excluded.origin,"
    " recorded_at = excluded.recorded_at"
)
EXPIRE_WITH_OTHER = _written(
    "UPDATE idempotency_entry SET has_other_zones = true, expires_at = {expiry} WHERE id = ?"
)
# Claim and settle in one statement. Rows are inserted in the order of the list, so callers that
# sort it wait for each other's claims in one order.
CLAIM_SETTLED = _written(
    "INSERT INTO idempotency_entry (client_token, account, region, action, zone, rules_version,"
    " key_id, digests, plain, identities, request_id, state, claimed_at, recorded_at,"
    " retention_seconds, expires_at)"
    " SELECT {text_of[0]}, {text_of[1]}, {text_of[2]}, {text_of[3]}, {text_of[4]},"
    " CAST({text_of[5]} AS bigint), {text_of[6]}, {json_of[7]}, {json_of[8]}, {json_of[9]},"
    " {text_of[10]}, 'settled', {number}, {number}, {number}, {number}"
    " FROM {elements} WHERE true"
    " ON CONFLICT DO NOTHING RETURNING client_token, account, region, action"
)

# -- repeats ------------------------------------------------------------------------------------

# Number the repeat by those that are kept: the ring always has the latest.
NOTE = _written(
    "INSERT INTO idempotency_attempt"
    " (entry_id, slot, number, made_at, attempt, fields, request_id)"
    " SELECT entry_id, (number - 1) % {kept}, number, {number}, {text}, {json},"
    " {text} FROM (SELECT {number} AS entry_id, coalesce(max(number), 1) + 1 AS number"
    " FROM idempotency_attempt WHERE entry_id = ?) AS following WHERE true"
    " ON CONFLICT (entry_id, slot) DO UPDATE SET number = excluded.number,"
    " made_at = excluded.made_at, attempt = excluded.attempt, fields = excluded.fields,"
    " request_id = excluded.request_id"
)
NOTE_MANY = _written(
    "INSERT INTO idempotency_attempt"
    " (entry_id, slot, number, made_at, attempt, fields, request_id)"
    " SELECT entry_id, (number - 1) % {kept}, number, {number}, {text}, {json},"
    " request_id FROM (SELECT CAST({text_of[0]} AS bigint) AS entry_id, {text_of[1]} AS request_id,"
    " (SELECT coalesce(max(number), 1) + 1 FROM idempotency_attempt AS kept"
    " WHERE kept.entry_id = CAST({text_of[0]} AS bigint)) AS number"
    " FROM {elements}) AS following WHERE true"
    " ON CONFLICT (entry_id, slot) DO UPDATE SET number = excluded.number,"
    " made_at = excluded.made_at, attempt = excluded.attempt, fields = excluded.fields,"
    " request_id = excluded.request_id"
)
ATTEMPTS = _written(
    "SELECT number, made_at, attempt, CAST(fields AS text), request_id FROM idempotency_attempt"
    " WHERE entry_id = ? ORDER BY number"
)

# -- retention ----------------------------------------------------------------------------------

# If an end is reported twice, the retention must not start again.
HOLDERS = _written(
    "SELECT DISTINCT entry_id FROM idempotency_resource"
    " WHERE resource_id IN (SELECT value FROM {texts}) AND ended_at IS NULL ORDER BY entry_id"
)
LOCK_ENTRIES = _written("SELECT id FROM idempotency_entry WHERE id IN {numbers} ORDER BY id{lock}")
END = _written(
    "UPDATE idempotency_resource SET ended_at = ?"
    " WHERE resource_id IN (SELECT value FROM {texts}) AND ended_at IS NULL"
)
EXPIRE = _written("UPDATE idempotency_entry SET expires_at = {expiry} WHERE id IN {numbers}")
EXPIRED = _written(
    "SELECT id, client_token, account, region, action FROM idempotency_entry"
    " WHERE expires_at <= ? ORDER BY expires_at LIMIT ?{lock_free}"
)
# Ordered by foreign keys: the entries themselves come last.
FORGET = (
    _written("DELETE FROM idempotency_attempt WHERE entry_id IN {numbers}"),
    _written("DELETE FROM idempotency_other_zone WHERE entry_id IN {numbers}"),
    _written("DELETE FROM idempotency_resource WHERE entry_id IN {numbers}"),
    _written("DELETE FROM idempotency_entry WHERE id IN {numbers}"),
)

# -- for people ---------------------------------------------------------------------------------

OF_TOKEN = _written(
    "SELECT account, region, action, id, has_other_zones, {outcome} FROM idempotency_entry"
    " WHERE client_token = ? ORDER BY id"
)
OF_RESOURCE = _written(
    "SELECT client_token, account, region, action FROM idempotency_resource"
    " JOIN idempotency_entry ON id = entry_id WHERE resource_id = ?"
)
# Look at every row: for people alone.
OF_REQUEST = _written(
    "SELECT client_token, account, region, action FROM idempotency_entry WHERE request_id = ?"
    " UNION SELECT client_token, account, region, action FROM idempotency_other_zone AS other"
    " JOIN idempotency_entry ON id = entry_id WHERE other.request_id = ?"
)
HOLDING = _written(
    "SELECT claimed_at, expires_at, resource_id FROM idempotency_entry"
    " LEFT JOIN idempotency_resource ON entry_id = id WHERE id = ?"
)
NEWEST_OF = _written("{listed} WHERE account = ? ORDER BY id DESC LIMIT ?")
NEWEST_BUT = _written("{listed} WHERE account != ? ORDER BY id DESC LIMIT ?")
