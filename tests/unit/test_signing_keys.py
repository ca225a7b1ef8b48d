"""The cache of signing keys is bounded, however many Regions and days callers sign for."""

from __future__ import annotations

from sametoken.ec2.protocol import sigv4


def test_no_more_signing_keys_are_kept_than_there_may_be() -> None:
    keys = sigv4._signing_key
    keys.cache_clear()
    for number in range(sigv4.SIGNING_KEYS_MAX + 1):
        keys("secret", "20310101", f"region-{number}", "ec2")
    assert keys.cache_info().currsize == sigv4.SIGNING_KEYS_MAX
