"""Paging of Describe actions: `MaxResults` and `NextToken`. Pure: nothing is kept between pages.

A token holds the key of the last item shown, so a page starts after that key even when the item is
gone or others were added since: nothing is shown twice and nothing that stays is left out. The
token also holds a digest of the request it continues (account, Region, action, parameters); with
another request it is refused, which is stricter than EC2. It is not a secret and grants nothing:
whoever forges one only chooses where in his own list to go on.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Generic, TypeVar

from sametoken.ec2.kit.request import Request
from sametoken.errors import ServiceError

T = TypeVar("T")

# 128 bits tell apart any two requests one will ever see.
_DIGEST_BYTES = 16
# Keys are ids and names of at most a few hundred characters; a longer token is none of ours.
TOKEN_CHARACTERS_MAX = 2048
# Parameters that may differ between the requests for two pages of one list.
_NOT_IN_SCOPE = frozenset({"MaxResults", "NextToken", "DryRun"})

# Writes the text that a token is bound to. Few requests have a token, and need it.
Scope = Callable[[], str]
Refuse = Callable[[int, int, int], ServiceError]


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """`next_token` is None on the last page."""

    items: list[T]
    next_token: str | None


def scope_of(request: Request) -> Scope:
    """Bind a token to the request: to its account, Region, action and parameters."""
    return lambda: _scope_text(request)


def _scope_text(request: Request) -> str:
    params = {name: value for name, value in request.params.items() if name not in _NOT_IN_SCOPE}
    asked = [request.account, request.region, request.action, params]
    return json.dumps(asked, sort_keys=True, separators=(",", ":"), default=str)


def value_refused(value: int, minimum: int, maximum: int) -> ServiceError:
    """EC2's wording of most actions (DescribeInstances, DescribeVolumes …), as captured."""
    bound = f"greater than {minimum}" if value < minimum else f"less than {maximum}"
    return ServiceError(
        "InvalidParameterValue",
        f"Value ( {value} ) for parameter maxResults is invalid. Expecting a value {bound}.",
    )


def range_refused(value: int, minimum: int, maximum: int) -> ServiceError:
    """Code and wording of DescribeInstanceTypes and its offerings, double blank included."""
    return ServiceError(
        "InvalidMaxResults",
        f"Value ( {value} ) for parameter maxResults is invalid. "
        f"Expecting a value from ( {minimum} ) to  ( {maximum} ).",
    )


def page(
    items: Iterable[T],
    key: Callable[[T], str],
    *,
    max_results: int | None,
    next_token: str | None,
    scope: Scope,
    minimum: int,
    maximum: int,
    refuse: Refuse = value_refused,
) -> Page[T]:
    """The page of `items` in the order of `key`, which must tell them apart.

    Without `max_results` everything after the token is shown, as EC2 does. An empty token counts
    as none. Raises what `refuse` makes of a size outside `minimum` and `maximum`, and
    InvalidParameterValue for a token that is damaged or continues another request.
    """

    def in_order(after: str) -> Iterable[T]:
        listed = list(items)
        by_key = {key(item): item for item in listed}
        assert len(by_key) == len(listed), "two items of one list share a key"
        return (by_key[one] for one in sorted(by_key) if one > after)

    return page_in_order(
        in_order,
        key,
        max_results=max_results,
        next_token=next_token,
        scope=scope,
        minimum=minimum,
        maximum=maximum,
        refuse=refuse,
    )


def page_in_order(
    items: Callable[[str], Iterable[T]],
    key: Callable[[T], str],
    *,
    max_results: int | None,
    next_token: str | None,
    scope: Scope,
    minimum: int,
    maximum: int,
    refuse: Refuse = value_refused,
) -> Page[T]:
    """As `page`, for lists too long to be made whole: read no further than one item past the page.

    `items(after)` gives those whose key comes after `after`, in the order of `key`; all of them
    after "".
    """
    if max_results is not None and not minimum <= max_results <= maximum:
        raise refuse(max_results, minimum, maximum)
    found = iter(items(_read(next_token, scope) if next_token else ""))
    shown = list(islice(found, max_results))
    more = max_results is not None and next(found, None) is not None
    return Page(shown, _write(key(shown[-1]), scope) if more else None)


def _write(last: str, scope: Scope) -> str:
    written = last.encode()
    return base64.urlsafe_b64encode(_digest(written, scope) + written).decode().rstrip("=")


def _read(token: str, scope: Scope) -> str:
    if len(token) > TOKEN_CHARACTERS_MAX:
        raise _invalid(token)
    try:
        raw = base64.urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4))
        last = raw[_DIGEST_BYTES:].decode()
    except ValueError as problem:  # not ASCII, not base64, not UTF-8
        raise _invalid(token) from problem
    # Written again it must be the same token: this checks the digest, and refuses the spellings
    # that a lenient base64 decoder would pass over.
    if _write(last, scope) != token:
        raise _invalid(token)
    return last


def _digest(last: bytes, scope: Scope) -> bytes:
    # JSON has no raw NUL, so the scope ends where the key begins.
    return hashlib.sha256(scope().encode() + b"\0" + last).digest()[:_DIGEST_BYTES]


def _invalid(token: str) -> ServiceError:
    """EC2's code and wording, as captured for a token of another Region or action."""
    return ServiceError(
        "InvalidParameterValue",
        f"Value ( {token[:TOKEN_CHARACTERS_MAX]} ) for parameter NextToken is invalid. "
        "The token is invalid.",
    )
