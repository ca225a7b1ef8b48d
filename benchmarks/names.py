"""Names of the subjects: each leg measures under them, and the judged lines ask for them.

A name says where it was measured, and with how many instances stored if it says so.
"""

from __future__ import annotations

# FEW and MANY are the sizes that judged lines compare; TOKENS is what the store of MANY holds.
FEW, SOME, MANY, TOKENS = 1_000, 5_000, 200_000, 1_000_000

NEW, REPLAY, DRIVEN = "in process: new", "in process: replay", "in process: driven to running"
ROWS_BY_DRIVER = "in process: floor, its rows by the driver"
BARE_ROWS = "in process: floor, its bytes in one bare table"
STEPS_ONE_BY_ONE = "in process: floor, its steps by the driver, one by one"
STEPS_TOGETHER = "in process: floor, its steps by the driver, 64 together"
DBOS_SQLITE = "in process: DBOS on SQLite, five steps"

# EARLIER is the last commit at which every statement went through SQLAlchemy at each execution.
EARLIER = "154d068"
STORY, SAME_ROWS = "in process: the story of a launch", "in process: Describes of the same rows"

EARLIER_NEW, EARLIER_REPLAY = "earlier: new", "earlier: replay"
EARLIER_BY_ID, EARLIER_DRIVEN = "earlier: Describe one id", "earlier: driven to running"

WHO = "HTTP: GetCallerIdentity"
ACCEPTED, RAN = "HTTP: RunInstances accepted alone", "HTTP: RunInstances accepted and driven"
BY_ID, BY_TOKEN = "HTTP: Describe one id", "HTTP: Describe one client-token"
PAGE, COLD_PAGE = "HTTP: Describe a page of 100", "HTTP: Describe a page of 100, cold"
FILTERED = "HTTP: Describe 100 by"
FILTERS = ("tag", "state", "VPC", "subnet", "group")
MOTO, MINISTACK = "moto", "ministack"

PG_ONE, PG_TWO = "PostgreSQL: launches, one node", "PostgreSQL: launches, two nodes"
PG_HELD_ONE = "PostgreSQL: launches, one node held to a share"
PG_HELD_TWO = "PostgreSQL: launches, two nodes held to a share each"
PG_BARE = "PostgreSQL: floor, one bare row a commit"
DBOS_POSTGRESQL = "PostgreSQL: DBOS, five steps"

EDGE_MB = "start: an edge, MB of its own"
# Facts are figures that no interleaved subject gives.
LOG_PAGES = "log pages a launch, accepted and driven"
PEAK = "overload: sustainable launches a second"
GOODPUT = "overload: launches a second that ran at twice that rate"
REFUSED = "overload: refused share of the requests"
REFUSAL_MS = "overload: median of a refusal, ms"
CATCHING_UP = "overload: seconds after the end until all accepted ran"
RESIDENT = "soak: resident MB"
HELP, NEW_FILE, OLD_FILE = "`--help`", "`serve` ready on a new file", "`serve` ready on a file"


def stored(name: str, size: int) -> str:
    return f"{name}, {size:,} stored"


def of_earlier(name: str) -> str:
    return f"{name}, at {EARLIER}"


def at(name: str, connections: int, *, size: int | None = None, by: str = "") -> str:
    """The name of an HTTP subject: of ours at a size, or of the peer `by`."""
    told = f"{name}, {connections} connections"
    if size is not None:
        told = stored(told, size)
    return f"{told} ({by})" if by else told


def with_edges(name: str, count: int) -> str:
    """The name of an HTTP subject of a server with so many edges, and not with its usual ones."""
    return f"{name} by {count} edges"


def start_seconds(process: str) -> str:
    return f"start: {process}, CPU seconds"


def start_mb(process: str) -> str:
    return f"start: {process}, resident MB"
