"""Bounds of the HTTP edge, each with its reason, and the refusal that each ends in.

Values only: `connection` and `edge` enforce them. Bounds on the content of a request (fields, list
index, token length) belong to the parser, which runs after these. Promise P12.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

KIB: Final = 1024
# The URL parser keeps 16-bit offsets, so a longer URL would be misread, not merely expensive.
URL_BYTES_PARSEABLE: Final = 65_535


@dataclass(frozen=True, slots=True)
class Bounds:
    """Limits of one connection, and of all together. Seconds may be fractions.

    A connection holds in memory at most `body_bytes_max`, `header_bytes_max` for each request sent
    ahead, one read of the event loop (256 KiB) and its unsent replies.
    """

    # A presigned GET of RunInstances with all 16 KiB of user data is about 24 KiB of URL after
    # base64 and percent-encoding; twice that leaves room for tags.
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
    # A connection too many takes the place of one that has been silent since it came, if any has.
    connections_max: int = 512
    # Connections beyond that, for probes alone: a balancer must not take a busy node for dead.
    spare_connections_max: int = 16
    # Requests sent ahead on one connection. No SDK sends ahead at all; some load tools do.
    pipelined_max: int = 16

    # Seconds from the first byte of a request to the end of its headers. Headers fit a few packets;
    # 10 s forgives several lost ones. A TLS handshake gets as long.
    header_seconds_max: float = 10.0
    # Seconds from the end of the headers to the end of the body: 1 MiB at 35 KB/s.
    body_seconds_max: float = 30.0
    # Seconds without a request, also before the first: pools open connections in advance. Load
    # balancers keep an idle connection for 60 s and Go's SDK for 90 s. The client has to give it up
    # first: else a request can meet the closing, and its caller cannot know that it never ran.
    idle_seconds_max: float = 100.0
    # Seconds for which a reply larger than the buffers may wait for its reader.
    reply_seconds_max: float = 60.0
    # Seconds in which a spare connection has to send its request: probes send it at once. As long a
    # silent connection keeps its place from those that come later.
    spare_seconds_max: float = 1.0
    # Bytes of replies that the callers of all connections together have not read yet: a list of a
    # thousand instances. For a further one, the connections that have the most are cut.
    unsent_bytes_max: int = 8 * 1024 * KIB
    # Seconds for requests in flight after the edge is told to stop: less than the 10 s after which
    # service managers commonly kill a process.
    drain_seconds_max: float = 8.0
    # A refused caller may still be sending. Closing at once resets the connection, and the reset
    # destroys the answer before it is read; so this much is read and dropped first, for this long.
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
    """An answer of the edge itself, after which the connection is closed.

    Every text is fixed and free of XML's special characters: no text of a caller is echoed.
    """

    http_status: int
    code: str
    message: str

    def __post_init__(self) -> None:
        assert not set("<>&") & set(self.code + self.message), "refusals are written unescaped"


# Codes are taken from AWS's common error types, so that SDKs classify them: SDKs retry only the
# time-out and the 503, and both say that the request never began.
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
FAILED: Final = Refusal(500, "InternalError", "An internal error has occurred")
TOO_MANY_CONNECTIONS: Final = Refusal(
    503,
    "Unavailable",
    "The service is stopping or has no connection to spare. Please try again shortly.",
)
