"""For test suites: an endpoint in this process or beside it, an account a test, a lossy proxy.

Each name is loaded when it is asked for: a suite that only has the plugin installed pays nothing.
`docs/testing-your-code.md` shows how they are used, with pytest, with unittest and in scripts.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sametoken.testing.planes import Account, Plane, beside, running
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
else:
    # A type checker sees no `__getattr__`, so that it still refuses a name that is not here.
    def __getattr__(name: str) -> object:
        if name in _PLANES:
            from sametoken.testing import planes as module
        elif name in __all__:
            from sametoken.testing import proxy as module
        else:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(module, name)


_PLANES = {"Account", "Plane", "beside", "running"}

__all__ = [
    "INVOCATION_HEADER",
    "Account",
    "Delayed",
    "Fate",
    "LossyProxy",
    "Passage",
    "Plane",
    "Policy",
    "beside",
    "drop_first_replies",
    "lossy_proxy",
    "pass_all",
    "running",
]
