"""For test suites: an endpoint in this process or beside it, an account a test, a lossy proxy.

Each name is loaded when it is asked for: a suite that only has the plugin installed pays nothing.
`docs/testing-your-code.md` shows how they are used, with pytest, with unittest and in scripts.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sametoken.testing.proxy import (
        INVOCATION_HEADER,
        Delayed,
        Fate,
        LossyProxy,
        Passage,
        Policy,
        drop_first_replies,
        lossy_proxy,
        pass_all,
    )
    from sametoken.testing.servers import Account, Server, beside, running
else:
    # A type checker sees no `__getattr__`, so that it still refuses a name that is not here.
    def __getattr__(name: str) -> object:
        if name in _SERVERS:
            from sametoken.testing import servers as module
        elif name in __all__:
            from sametoken.testing import proxy as module
        else:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(module, name)


_SERVERS = {"Account", "Server", "beside", "running"}

__all__ = [
    "INVOCATION_HEADER",
    "Account",
    "Delayed",
    "Fate",
    "LossyProxy",
    "Passage",
    "Policy",
    "Server",
    "beside",
    "drop_first_replies",
    "lossy_proxy",
    "pass_all",
    "running",
]
