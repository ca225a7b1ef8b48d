"""Whole HTTP requests, signed beforehand: a client that must cost little signs nothing meanwhile.

Signature version 4 for one key and one endpoint; its signing key is derived once.
"""

from __future__ import annotations

import hashlib
import hmac
import urllib.parse
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import reduce
from typing import Any

_TYPE = "application/x-www-form-urlencoded; charset=utf-8"
_SIGNED = "content-type;host;x-amz-date"
_VERSIONS = {"ec2": "2016-11-15", "sts": "2011-06-15"}


class Signer:
    """Writes requests of one access key to one endpoint. Valid for fifteen minutes each."""

    def __init__(
        self, address: tuple[str, int], key: str, secret: str, region: str = "us-east-1"
    ) -> None:
        self.address = address
        self._key = key
        self._secret = secret
        self._region = region
        self._derived: dict[tuple[str, str], bytes] = {}

    def request(
        self, action: str, fields: Mapping[str, Any] | None = None, *, service: str = "ec2"
    ) -> bytes:
        named = {"Action": action, "Version": _VERSIONS[service], **(fields or {})}
        body = urllib.parse.urlencode(named).encode()
        moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        host = f"{self.address[0]}:{self.address[1]}"
        canonical = (
            f"POST\n/\n\ncontent-type:{_TYPE}\nhost:{host}\nx-amz-date:{moment}\n\n{_SIGNED}\n"
            f"{hashlib.sha256(body).hexdigest()}"
        )
        scope = f"{moment[:8]}/{self._region}/{service}/aws4_request"
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        text = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{digest}"
        signature = _mac(self._signing_key(moment[:8], service), text).hex()
        head = (
            f"POST / HTTP/1.1\r\nHost: {host}\r\nContent-Type: {_TYPE}\r\nX-Amz-Date: {moment}\r\n"
            f"Authorization: AWS4-HMAC-SHA256 Credential={self._key}/{scope}, "
            f"SignedHeaders={_SIGNED}, Signature={signature}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body

    def _signing_key(self, day: str, service: str) -> bytes:
        found = self._derived.get((day, service))
        if found is None:
            parts = (day, self._region, service, "aws4_request")
            found = reduce(_mac, parts, f"AWS4{self._secret}".encode())
            self._derived[day, service] = found
        return found


def _mac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")
