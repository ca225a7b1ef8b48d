"""The ledger's SQL, written by hand for both databases. Values are numbers, texts and JSON texts.

It must run on SQLite 3.37, the oldest of the Pythons that are supported. What PostgreSQL spells
otherwise is told by `_SPELLED`.
"""

from __future__ import annotations

from sametoken.idempotency.ledger import RETENTION
from sametoken.idempotency.tables import ATTEMPTS_KEPT
from sametoken.store.dialects import Text

# Words in braces, as SQLite and as PostgreSQL spell them. PostgreSQL must be told the types of
# values that no column tells it. `elements` makes a row of each element of a JSON list, `field(n)`
# is the n-th member of an element that is itself a list.
_SPELLED = {
    "json": ("?", "CAST(? AS json)"),
    "number": ("?", "CAST(? AS bigint)"),
    "text": ("?", "CAST(? AS text)"),
    "texts": ("json_each(?)", "json_array_elements_text(CAST(? AS json)) AS one(value)"),
    "numbers": (
        "(SELECT value FROM json_each(?))",
        "(SELECT CAST(value AS bigint) FROM json_array_elements_text(CAST(? AS json))"
        " AS one(value))",
    ),
    "elements": ("json_each(?)", "json_array_elements(CAST(? AS json)) AS one(value)"),
    "lock": ("", " FOR UPDATE"),
    "lock_free": ("", " FOR UPDATE SKIP LOCKED"),
}


def _written(sql: str, **more: tuple[str, str]) -> Text:
    spelled = _SPELLED | more
    sqlite, postgresql = (
        sql.format(**{word: both[side] for word, both in spelled.items()}) for side in (0, 1)
    )
    return Text(sqlite, postgresql)


_KEY = "client_token = ? AND account = ? AND region = ? AND action = ?"
_OUTCOME = "zone, state, rules_version, key_id, digests, plain, identities, request_id, recorded_at"
_OUTCOME_READ = (
    "zone, state, rules_version, key_id, CAST(digests AS text), CAST(plain AS text),"
    " CAST(identities AS text), request_id, recorded_at"
)
# The end of an entry's retention, from a moment on; NULL while a resource holds the entry.
_EXPIRY = (
    "CASE WHEN EXISTS (SELECT 1 FROM idempotency_resource AS held"
    " WHERE held.entry_id = idempotency_entry.id AND held.ended_at IS NULL) THEN NULL"
    f" ELSE {{number}} + coalesce(retention_seconds, {RETENTION.total_seconds():.0f}) * 1000000 END"
)

# -- claim, find, settle ------------------------------------------------------------------------

CLAIM = _written(
    "INSERT INTO idempotency_entry"
    " (client_token, account, region, action, claimed_at, retention_seconds)"
    " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING RETURNING id"
)
FIND = _written(
    f"SELECT id, has_other_zones, {_OUTCOME_READ} FROM idempotency_entry WHERE {_KEY}"
)
# PostgreSQL logs the lock, so the commit of a replay that writes nothing else waits for the
# synchronous standby, as every commit does: an answer must not tell of what a failover may undo.
LOCK = _written(
    f"SELECT id, has_other_zones, {_OUTCOME_READ} FROM idempotency_entry WHERE {_KEY}{{lock}}"
)
FIND_OTHERS = _written(
    f"SELECT {_OUTCOME_READ} FROM idempotency_other_zone WHERE entry_id = ? ORDER BY zone"
)
KEEP = _written(
    "INSERT INTO idempotency_resource (resource_id, entry_id) SELECT value, {number} FROM {texts}"
)
RECORD = _written(
    "UPDATE idempotency_entry SET zone = ?, state = ?, rules_version = ?, key_id = ?,"
    " digests = {json}, plain = {json}, identities = {json}, request_id = ?, recorded_at = ?,"
    f" expires_at = {_EXPIRY} WHERE id = ?"
)
RECORD_OTHER = _written(
    f"INSERT INTO idempotency_other_zone ({_OUTCOME}, entry_id)"
    " VALUES (?, ?, ?, ?, {json}, {json}, {json}, ?, ?, ?)"
    " ON CONFLICT (entry_id, zone) DO UPDATE SET state = excluded.state,"
    " rules_version = excluded.rules_version, key_id = excluded.key_id,"
    " digests = excluded.digests, plain = excluded.plain, identities = excluded.identities,"
    " request_id = excluded.request_id, recorded_at = excluded.recorded_at"
)
EXPIRE_WITH_OTHER = _written(
    f"UPDATE idempotency_entry SET has_other_zones = true, expires_at = {_EXPIRY} WHERE id = ?"
)
# Members of an element, in the order of `_MEMBERS`.
_MEMBERS = (
    "client_token, account, region, action, zone, rules_version, key_id, digests, plain,"
    " identities, request_id"
)
_NUMBERS, _JSON = (5,), (7, 8, 9)


def _member(place: int) -> str:
    told = f"(value ->> {place})"
    if place in _NUMBERS:
        return f"CAST({told} AS bigint)"
    return f"CAST({told} AS json)" if place in _JSON else told


_COUNT = range(_MEMBERS.count(",") + 1)
# Claim and settle in one statement. Rows are inserted in the order of the list, so callers that
# sort it wait for each other's claims in one order.
CLAIM_SETTLED = _written(
    f"INSERT INTO idempotency_entry ({_MEMBERS}, state, claimed_at, recorded_at,"
    " retention_seconds, expires_at)"
    " SELECT {members}, 'settled', {number}, {number}, {number}, {number}"
    " FROM {elements} WHERE true"
    " ON CONFLICT DO NOTHING RETURNING client_token, account, region, action",
    members=(
        ", ".join(f"json_extract(value, '$[{place}]')" for place in _COUNT),
        ", ".join(_member(place) for place in _COUNT),
    ),
)

# -- repeats ------------------------------------------------------------------------------------

# Number the repeat by those that are kept: the ring always has the latest.
NOTE = _written(
    "INSERT INTO idempotency_attempt"
    " (entry_id, slot, number, made_at, attempt, fields, request_id)"
    f" SELECT entry_id, (number - 1) % {ATTEMPTS_KEPT}, number, {{number}}, {{text}}, {{json}},"
    " {text} FROM (SELECT {number} AS entry_id, coalesce(max(number), 1) + 1 AS number"
    " FROM idempotency_attempt WHERE entry_id = ?) AS following WHERE true"
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
LOCK_ENTRIES = _written(
    "SELECT id FROM idempotency_entry WHERE id IN {numbers} ORDER BY id{lock}"
)
END = _written(
    "UPDATE idempotency_resource SET ended_at = ?"
    " WHERE resource_id IN (SELECT value FROM {texts}) AND ended_at IS NULL"
)
EXPIRE = _written(
    f"UPDATE idempotency_entry SET expires_at = {_EXPIRY} WHERE id IN {{numbers}}"
)
EXPIRED = _written(
    "SELECT id FROM idempotency_entry WHERE expires_at <= ? ORDER BY expires_at"
    " LIMIT ?{lock_free}"
)
# Ordered by foreign keys: the entries themselves come last.
FORGET = tuple(
    _written(f"DELETE FROM {table} WHERE {column} IN {{numbers}}")
    for table, column in (
        ("idempotency_attempt", "entry_id"),
        ("idempotency_other_zone", "entry_id"),
        ("idempotency_resource", "entry_id"),
        ("idempotency_entry", "id"),
    )
)

# -- for people ---------------------------------------------------------------------------------

OF_TOKEN = _written(
    f"SELECT account, region, action, id, has_other_zones, {_OUTCOME_READ} FROM idempotency_entry"
    " WHERE client_token = ? ORDER BY id"
)
_LISTED = (
    "SELECT claimed_at, account, region, action, client_token,"
    " coalesce((SELECT max(number) FROM idempotency_attempt WHERE entry_id = entry.id), 1),"
    " expires_at FROM idempotency_entry AS entry"
)
NEWEST_OF = _written(f"{_LISTED} WHERE account = ? ORDER BY id DESC LIMIT ?")
NEWEST_BUT = _written(f"{_LISTED} WHERE account != ? ORDER BY id DESC LIMIT ?")
