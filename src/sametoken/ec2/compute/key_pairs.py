"""Key pairs: created, imported, described and deleted. Their name is their natural key.

EC2 takes no client token here: a repeated create is refused as a duplicate. A private key is in the
answer that made it and is not stored, so a caller who lost that answer deletes the pair and makes
another.
"""

from __future__ import annotations

from dataclasses import asdict

from sametoken.ec2.kit.actions import Action, Change, Read
from sametoken.ec2.kit.describing import describe
from sametoken.ec2.kit.nouns import requested_tags
from sametoken.ec2.kit.parameters import check_tag_specifications
from sametoken.ec2.kit.repeats import conflicts, same
from sametoken.ec2.kit.request import Request
from sametoken.ec2.protocol import refusals
from sametoken.ec2.protocol.documents import Document
from sametoken.resources.compute import key_pairs
from sametoken.resources.compute.key_pairs import KEY_PAIR
from sametoken.resources.kit import endings, quotas, rows
from sametoken.resources.kit.rows import Row
from sametoken.store.port import Tx

# Source: EC2 API reference, DescribeKeyPairs, "Filters".
KEY_PAIR_FILTERS = {
    "fingerprint": "KeyFingerprint",
    "key-name": "KeyName",
    "key-pair-id": "KeyPairId",
}
# EC2 API reference, CreateKeyPair: "Up to 255 ASCII characters".
NAME_CHARACTERS_MAX = 255


def _validate_new(request: Request) -> None:
    name = request.params["KeyName"]
    is_plain = name.isascii() and name.isprintable() and name == name.strip()
    if not 1 <= len(name) <= NAME_CHARACTERS_MAX or not is_plain:
        raise refusals.invalid_value(
            "keyName",
            name[:NAME_CHARACTERS_MAX],
            f"Use 1 to {NAME_CHARACTERS_MAX} ASCII characters, no blanks around them.",
        )
    if request.params.get("KeyFormat", "pem") != "pem":
        raise refusals.unsupported("KeyFormat=ppk")
    check_tag_specifications(request.params, (KEY_PAIR.name,))


# Keys are seldom made or read, and to import what does it takes a twentieth of a start.


def _generate(request: Request) -> Document:
    from sametoken.ec2.compute import key_material

    return asdict(key_material.generate(request.params.get("KeyType", "rsa")))


def _read(request: Request) -> Document:
    from sametoken.ec2.compute import key_material

    return asdict(key_material.read_public(request.params["PublicKeyMaterial"]))


def create(tx: Tx, request: Request) -> Document:
    """Make a new pair. Its private key is in this answer, and is not stored."""
    return {**_keep(tx, request), "KeyMaterial": request.prepared["private"]}


def import_key(tx: Tx, request: Request) -> Document:
    """Import a public key; the private key stays with its owner."""
    return _keep(tx, request)


def _keep(tx: Tx, request: Request) -> Document:
    made: Document = request.prepared
    name = request.params["KeyName"]
    row = key_pairs.lay_out(
        tx, request.account, request.region, name,
        doc={
            "KeyType": made["type"],
            "KeyFingerprint": made["fingerprint"],
            "private": {"PublicKey": f"{made['public']} {name}"},
        },
        tags=requested_tags(request, KEY_PAIR),
    )  # fmt: skip
    quotas.check(tx, row)
    rows.insert(tx, [row])
    return {
        "KeyPairId": row.id,
        "KeyName": name,
        "KeyFingerprint": made["fingerprint"],
        "Tags": row.doc["Tags"],
    }


def describe_key_pairs(tx: Tx, request: Request) -> Document:
    """Return key pairs by name, by id, by filter; all at once, as EC2 does."""
    params = request.params
    names = params.get("KeyNames", [])
    if names:
        ids = [*params.get("KeyPairIds", [])]
        ids += [key_pairs.require(tx, request.account, request.region, one).id for one in names]
        request = request.with_params(KeyPairIds=ids)
    shows_public = params.get("IncludePublicKey", False)

    def show(row: Row) -> Document:
        return _shown(row, {"PublicKey": row.private["PublicKey"]} if shows_public else {})

    found = describe(tx, request, KEY_PAIR, show, "KeyPairs", KEY_PAIR_FILTERS, ids="KeyPairIds")
    return {"KeyPairs": found["KeyPairs"]}


def _shown(row: Row, more: Document) -> Document:
    shown = {name: row.doc[name] for name in ("KeyName", "KeyType", "KeyFingerprint", "Tags")}
    return {**shown, "KeyPairId": row.id, "CreateTime": row.created_at, **more}


def delete(tx: Tx, request: Request) -> Document:
    """Delete a pair by id or by name. Deleting one that does not exist succeeds (captured).

    Instances launched with it keep its name, and their owners the private key.
    """
    row = _find(tx, request)
    if row is None:
        return {"Return": True}
    endings.end(tx, KEY_PAIR, row, cause="DeleteKeyPair")
    return {"Return": True, "KeyPairId": row.id}


def _find(tx: Tx, request: Request) -> Row | None:
    """Find the pair to be deleted, and lock it. If both id and name are given, the id decides."""
    params, account, region = request.params, request.account, request.region
    if "KeyPairId" in params:
        KEY_PAIR.check_id(params["KeyPairId"])
        id = params["KeyPairId"]
        return rows.find_living(tx, KEY_PAIR, account, region, id, lock=True)
    if "KeyName" not in params:
        raise refusals.missing_parameter("KeyName")
    found = rows.find_named(tx, KEY_PAIR, account, region, params["KeyName"])
    return None if found is None else rows.by_ids(tx, [found.id], lock=True)[found.id]


ACTIONS: tuple[Action, ...] = (
    Change(
        "CreateKeyPair",
        create,
        validate=_validate_new,
        prepare=_generate,
        answer_is_secret=True,
        repeats=conflicts("InvalidKeyPair.Duplicate", "NAT"),
    ),
    Change(
        "ImportKeyPair",
        import_key,
        validate=_validate_new,
        prepare=_read,
        repeats=conflicts("InvalidKeyPair.Duplicate", "ERR"),
    ),
    Read("DescribeKeyPairs", describe_key_pairs),
    Change("DeleteKeyPair", delete, repeats=same("NAT") + same("NAT", way="by id")),
)
