"""Signing keys are derived once a day for each Region and service, and only so many are kept."""

from __future__ import annotations

from sametoken.ec2.protocol import sigv4


def test_no_more_signing_keys_are_kept_than_there_may_be() -> None:
    derive = sigv4._signing_key
    for number in range(sigv4.SIGNING_KEYS_MAX + 10):
        derive("a secret", "20310102", f"region-{number}", "ec2")
    assert derive.cache_info().currsize == sigv4.SIGNING_KEYS_MAX
