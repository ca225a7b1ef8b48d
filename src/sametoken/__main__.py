"""`python -m sametoken` is the command line."""

from __future__ import annotations

from sametoken.cli import main

main()
