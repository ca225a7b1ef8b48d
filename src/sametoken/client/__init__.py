"""For callers of EC2's API, or any with client tokens: creates that are safe to repeat.

`stable_token` makes a token from what a create is for, `fill_tokens` and `errand` fill it into
boto3's calls, `RetryingCaller` tries again until an answer is heard, and `once` does it for a
script. The package loads the standard library alone and needs no server: it is for EC2 itself, too.
`docs/tokens.md` tells how to choose a token.
"""

from sametoken.client.errands import NoErrand, errand, fill_tokens
from sametoken.client.retrying import RetryingCaller, once, once_async
from sametoken.client.tokens import Part, stable_token

__all__ = [
    "NoErrand",
    "Part",
    "RetryingCaller",
    "errand",
    "fill_tokens",
    "once",
    "once_async",
    "stable_token",
]
