"""Key pairs: fingerprints as EC2's users compute them, private keys shown once, unique names."""

from __future__ import annotations

import base64
import hashlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_ssh_private_key,
)

from ec2.asking import by_filter, code, refusal
from plane import LAUNCH, Plane, everything
from sametoken.ec2.catalog import ACTIONS
from sametoken.ec2.compute.key_material import KeyMaterial
from sametoken.ec2.kit.actions import Change

# 1024 bits, because it is the shortest key that EC2 imports, and so the quickest to make.
RSA_KEY = rsa.generate_private_key(65537, 1024)
ED25519_KEY = ed25519.Ed25519PrivateKey.generate()


def openssh(key: Any) -> bytes:
    public: bytes = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    return public


def spki(key: Any, encoding: Encoding) -> bytes:
    public: bytes = key.public_key().public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo)
    return public


@pytest.fixture
def client(plane: Plane, request: pytest.FixtureRequest) -> Any:
    return plane.client(keys=plane.account(request.node.name[-60:]))


def test_a_created_rsa_key_has_the_sha1_fingerprint_of_its_private_der(client: Any) -> None:
    made = client.create_key_pair(KeyName="new")
    assert made["KeyMaterial"].startswith("-----BEGIN RSA PRIVATE KEY-----\n")
    key = load_pem_private_key(made["KeyMaterial"].encode(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    assert key.key_size == 2048
    der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    assert made["KeyFingerprint"] == hashlib.sha1(der).digest().hex(":")
    [shown] = client.describe_key_pairs(KeyNames=["new"], IncludePublicKey=True)["KeyPairs"]
    assert shown["PublicKey"] == f"{openssh(key).decode()} new"
    assert (shown["KeyType"], shown["KeyFingerprint"]) == ("rsa", made["KeyFingerprint"])


def test_a_created_ed25519_key_has_the_fingerprint_of_openssh(client: Any) -> None:
    made = client.create_key_pair(KeyName="new", KeyType="ed25519", KeyFormat="pem")
    assert made["KeyMaterial"].startswith("-----BEGIN OPENSSH PRIVATE KEY-----\n")
    key = load_ssh_private_key(made["KeyMaterial"].encode(), None)
    blob = base64.b64decode(openssh(key).split()[1])
    assert made["KeyFingerprint"] == base64.b64encode(hashlib.sha256(blob).digest()).decode()
    [shown] = client.describe_key_pairs()["KeyPairs"]
    assert shown["KeyType"] == "ed25519"
    assert "PublicKey" not in shown, "only where it is asked for"


@pytest.mark.parametrize(
    "material",
    [
        openssh(RSA_KEY),
        openssh(RSA_KEY) + b" a comment\n",
        base64.b64encode(spki(RSA_KEY, Encoding.DER)),
        base64.encodebytes(spki(RSA_KEY, Encoding.DER)),
        spki(RSA_KEY, Encoding.PEM),
        b'---- BEGIN SSH2 PUBLIC KEY ----\nComment: "one that\\\n goes on"\nX-Other: yes\n'
        + base64.encodebytes(base64.b64decode(openssh(RSA_KEY).split()[1]))
        + b"---- END SSH2 PUBLIC KEY ----\n",
    ],
    ids=["openssh", "comment", "der", "wrapped-der", "pem", "rfc4716"],
)
def test_an_rsa_key_is_imported_in_every_form_with_the_md5_fingerprint(
    client: Any, material: bytes
) -> None:
    made = client.import_key_pair(KeyName="mine", PublicKeyMaterial=material)
    expected = hashlib.md5(spki(RSA_KEY, Encoding.DER)).digest().hex(":")
    assert made["KeyFingerprint"] == expected
    [shown] = client.describe_key_pairs(IncludePublicKey=True)["KeyPairs"]
    assert shown["PublicKey"] == f"{openssh(RSA_KEY).decode()} mine"
    assert shown["KeyPairId"] == made["KeyPairId"]


def test_an_imported_ed25519_key_has_the_fingerprint_of_a_created_one(client: Any) -> None:
    made = client.import_key_pair(KeyName="mine", PublicKeyMaterial=openssh(ED25519_KEY))
    blob = base64.b64decode(openssh(ED25519_KEY).split()[1])
    assert made["KeyFingerprint"] == base64.b64encode(hashlib.sha256(blob).digest()).decode()


@pytest.mark.parametrize(
    "material",
    [
        b"",
        b"no key",
        b"ssh-rsa AAAA",
        "schlüssel".encode(),
        b"---- BEGIN SSH2 PUBLIC KEY ----\nAAAA\n",
        b"---- BEGIN SSH2 PUBLIC KEY ----",
        b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
        openssh(RSA_KEY).replace(b"ssh-rsa", b"ssh-ed25519"),
        openssh(rsa.generate_private_key(65537, 1536)),
        spki(ec.generate_private_key(ec.SECP256R1()), Encoding.PEM),
    ],
)
def test_what_is_no_key_for_ec2_is_refused(client: Any, material: bytes) -> None:
    refused = refusal(client.import_key_pair, KeyName="odd", PublicKeyMaterial=material)
    assert refused.status == 400
    assert refused.code in ("InvalidKey.Format", "MissingParameter"), refused
    assert client.describe_key_pairs()["KeyPairs"] == []


def test_a_name_in_use_is_refused_and_changes_nothing(client: Any) -> None:
    first = client.create_key_pair(KeyName="mine", KeyType="ed25519")
    assert code(client.create_key_pair, KeyName="mine", KeyType="ed25519") == (
        "InvalidKeyPair.Duplicate"
    )
    material = openssh(ED25519_KEY)
    assert code(client.import_key_pair, KeyName="mine", PublicKeyMaterial=material) == (
        "InvalidKeyPair.Duplicate"
    )
    [shown] = client.describe_key_pairs()["KeyPairs"]
    assert shown["KeyFingerprint"] == first["KeyFingerprint"]


def test_of_thirty_two_at_once_one_makes_the_pair(plane: Plane) -> None:
    client = plane.client(keys=plane.account("at once"), max_pool_connections=32)

    def create(_: int) -> str:
        try:
            return str(client.create_key_pair(KeyName="one", KeyType="ed25519")["KeyPairId"])
        except client.exceptions.ClientError as refused:
            return str(refused.response["Error"]["Code"])

    with ThreadPoolExecutor(32) as pool:
        outcomes = list(pool.map(create, range(32)))
    assert outcomes.count("InvalidKeyPair.Duplicate") == 31
    [shown] = client.describe_key_pairs()["KeyPairs"]
    assert shown["KeyPairId"] in outcomes


def test_a_name_is_of_its_region_and_account(plane: Plane, client: Any) -> None:
    made = client.create_key_pair(KeyName="mine", KeyType="ed25519")["KeyPairId"]
    elsewhere = plane.client(region="eu-west-1", keys=plane.account("elsewhere"))
    assert elsewhere.create_key_pair(KeyName="mine", KeyType="ed25519")["KeyPairId"] != made
    assert code(elsewhere.describe_key_pairs, KeyPairIds=[made]) == "InvalidKeyPair.NotFound"


def test_a_private_key_is_nowhere_on_disk(plane: Plane, client: Any) -> None:
    secret = client.create_key_pair(KeyName="secret", KeyType="ed25519")["KeyMaterial"]
    body = secret.splitlines()[2].encode()
    kept = [path.read_bytes() for path in plane.folder.rglob("*") if path.is_file()]
    kept.append(repr(everything(plane.store)).encode())
    assert any(b"secret" in one for one in kept), "the row itself is there"
    assert not any(body in one for one in kept)


def test_a_private_key_shows_in_no_message() -> None:
    assert "hidden" not in repr(KeyMaterial("rsa", "aa:bb", "ssh-rsa AAAA", "hidden"))


def test_an_answer_with_a_private_key_is_never_kept() -> None:
    action = ACTIONS["CreateKeyPair"]
    assert isinstance(action, Change)
    assert action.answer_is_secret


def test_deleting_by_name_succeeds_again_and_again(client: Any) -> None:
    made = client.create_key_pair(KeyName="mine", KeyType="ed25519")["KeyPairId"]
    assert client.delete_key_pair(KeyName="mine")["KeyPairId"] == made
    assert client.delete_key_pair(KeyName="mine")["Return"] is True
    assert client.describe_key_pairs()["KeyPairs"] == []
    assert client.create_key_pair(KeyName="mine", KeyType="ed25519")["KeyPairId"] != made


def test_deleting_by_id_finds_one_pair_once_and_succeeds_again(client: Any) -> None:
    made = client.create_key_pair(KeyName="mine", KeyType="ed25519")["KeyPairId"]
    assert client.delete_key_pair(KeyPairId=made)["KeyPairId"] == made
    again = client.delete_key_pair(KeyPairId=made)
    assert again["Return"] is True and "KeyPairId" not in again
    assert code(client.delete_key_pair) == "MissingParameter"


def test_the_pair_of_another_account_or_region_is_not_deleted_by_its_id(
    plane: Plane, client: Any, request: pytest.FixtureRequest
) -> None:
    made = client.create_key_pair(KeyName="mine", KeyType="ed25519")["KeyPairId"]
    stranger = plane.client(keys=plane.account("strangers"))
    same = plane.account(request.node.name[-60:])
    elsewhere = plane.client(keys=same, region="eu-west-1")
    for other in (stranger, elsewhere):
        assert "KeyPairId" not in other.delete_key_pair(KeyPairId=made)
    assert [one["KeyPairId"] for one in client.describe_key_pairs()["KeyPairs"]] == [made]


def test_pairs_are_found_by_name_id_filter_and_tag(client: Any) -> None:
    tags = [{"Key": "team", "Value": "a"}]
    one = client.create_key_pair(
        KeyName="one",
        KeyType="ed25519",
        TagSpecifications=[{"ResourceType": "key-pair", "Tags": tags}],
    )
    other = client.import_key_pair(KeyName="other", PublicKeyMaterial=openssh(ED25519_KEY))
    assert one["Tags"] == tags

    def names(**asked: Any) -> list[str]:
        return sorted(pair["KeyName"] for pair in client.describe_key_pairs(**asked)["KeyPairs"])

    assert names() == ["one", "other"]
    assert names(KeyNames=["one"], KeyPairIds=[other["KeyPairId"]]) == ["one", "other"]
    assert names(Filters=by_filter("key-name", "o*r")) == ["other"]
    assert names(Filters=by_filter("fingerprint", one["KeyFingerprint"])) == ["one"]
    assert names(Filters=by_filter("tag:team", "a")) == ["one"]
    assert code(client.describe_key_pairs, KeyNames=["none"]) == "InvalidKeyPair.NotFound"


@pytest.mark.parametrize("name", ["", " blank", "x" * 256, "schlüssel"])
def test_a_name_that_ec2_would_not_take_is_refused(client: Any, name: str) -> None:
    refused = refusal(client.create_key_pair, KeyName=name, KeyType="ed25519")
    assert refused.code in ("InvalidParameterValue", "MissingParameter")


def test_a_launch_names_a_pair_that_exists_and_keeps_its_name(client: Any) -> None:
    asked = {**LAUNCH, "KeyName": "mine", "ClientToken": "with key"}
    assert code(client.run_instances, **asked) == "InvalidKeyPair.NotFound"
    client.create_key_pair(KeyName="mine", KeyType="ed25519")
    [instance] = client.run_instances(**asked)["Instances"]
    client.delete_key_pair(KeyName="mine")
    [again] = client.run_instances(**asked)["Instances"]
    assert (again["InstanceId"], again["KeyName"]) == (instance["InstanceId"], "mine")
