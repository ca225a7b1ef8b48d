"""Bounds of the HTTP edge, each named with its reason, and the refusal that each ends in.

Values only: `edge` enforces them. Bounds on what a request *says* (fields, list index, token
length) belong to the parser, which sees them after these. Promise P12.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

KIB: Final = 1024
# The URL parser keeps 16-bit offsets, so a longer URL would be misread, not merely expensive.
URL_BYTES_PARSEABLE: Final = 65_535


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one connection, and all of them together, may take. Seconds may be fractions.

    In memory a connection holds at most one body limit, a header limit for each request sent
    ahead, one read of the event loop (256 KiB) and its unsent replies.
    """

    # A presigned GET of RunInstances with all 16 KiB of user data is about 24 KiB of URL once
    # base64 and percent-encoding have had their way; twice that leaves room for tags.
    url_bytes_max: int = 48 * KIB
    # Request line and headers together: the longest URL, and 16 KiB for headers, as most servers
    # allow; session tokens of 4 KiB are the largest header real clients send.
    header_bytes_max: int = 64 * KIB
    # SDKs send about 12 and proxies add a few; 100 is what other servers allow.
    headers_max: int = 100
    # The largest honest body known is a launch with full user data and all its tags, under
    # 128 KiB. All connections' bodies together then stay within half a GiB.
    body_bytes_max: int = 1024 * KIB
    # Half of the 1,024 open files a process usually has: the store, logs and tools need the rest.
    connections_max: int = 512
    # Requests sent ahead on one connection. No SDK sends ahead at all; some load tools do.
    pipelined_max: int = 16

    # From the first byte of a request to the end of its headers. They fit a few packets; 10 s
    # forgives several lost ones. A TLS handshake gets as long.
    header_seconds_max: float = 10.0
    # From the end of the headers to the end of the body: 1 MiB at 35 KB/s.
    body_seconds_max: float = 30.0
    # A connection without a request, also before its first: pools open some in advance. Load
    # balancers keep theirs 60 s and Go's SDK 90 s; whoever sends must be the first to give one up,
    # or a request meets the closing and its caller cannot know that it never ran.
    idle_seconds_max: float = 100.0
    # How long a reply larger than the buffers may wait for its reader.
    reply_seconds_max: float = 60.0
    # The time for requests in flight once we are told to stop: under the 10 s after which
    # service managers commonly kill.
    drain_seconds_max: float = 8.0
    # A refused caller may still be sending. Closing at once resets the connection, and the reset
    # destroys our answer before it is read; so we swallow this much, for this long, first.
    linger_bytes_max: int = 1024 * KIB
    linger_seconds_max: float = 2.0

    def __post_init__(self) -> None:
        assert 0 < self.url_bytes_max < URL_BYTES_PARSEABLE, "a longer URL cannot be parsed"
        assert self.url_bytes_max <= self.header_bytes_max, "the URL is part of the header bytes"
        assert self.connections_max >= 1, "an edge without connections answers nobody"
        assert self.pipelined_max >= 1, "the request being answered counts as one"


DEFAULT_BOUNDS: Final = Bounds()


@dataclass(frozen=True, slots=True)
class Refusal:
    """What the edge itself answers, before closing the connection.

    Every text is fixed and free of XML's special characters: nothing a caller sent is echoed.
    """

    http_status: int
    code: str
    message: str

    def __post_init__(self) -> None:
        assert not set("<>&") & set(self.code + self.message), "refusals are written unescaped"


# The codes are those of AWS's common error types, so that SDKs classify them: none is retried
# but the time-out and the 503, and those two say that the request never began.
MALFORMED: Final = Refusal(
    400,
    "MalformedHttpRequestException",
    "The bytes received are not an HTTP/1.1 request. Check the client, and whether the endpoint "
    "expects https.",
)
UPGRADE_REFUSED: Final = Refusal(
    400,
    "MalformedHttpRequestException",
    "This endpoint speaks HTTP/1.1 only. Send the request without asking for an upgrade.",
)
TOO_SLOW: Final = Refusal(
    408,
    "RequestTimeoutException",
    "The request did not arrive in time, and nothing was done. Send it again.",
)
BODY_TOO_LARGE: Final = Refusal(
    413,
    "RequestEntityTooLargeException",
    "The request body is larger than this endpoint accepts. Send fewer or smaller parameters.",
)
URL_TOO_LONG: Final = Refusal(
    414,
    "MalformedHttpRequestException",
    "The URL is longer than this endpoint accepts. Send the parameters in a POST body.",
)
HEADERS_TOO_LARGE: Final = Refusal(
    431,
    "MalformedHttpRequestException",
    "The request line and headers are larger, or more, than this endpoint accepts.",
)
TOO_MANY_CONNECTIONS: Final = Refusal(
    503,
    "Unavailable",
    "The service is stopping or has no connection to spare. Please try again shortly.",
)
