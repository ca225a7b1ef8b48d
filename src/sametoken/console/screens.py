"""Screens and orders of the console, in the order of its menu."""

from __future__ import annotations

from collections.abc import Sequence

from sametoken.console import (
    account_screen,
    clock_screen,
    fault_screen,
    overview_screen,
    state_screen,
    story_screens,
)
from sametoken.console.site import Act, Screen

SCREENS: Sequence[Screen] = (
    *overview_screen.SCREENS,
    *story_screens.SCREENS,
    *fault_screen.SCREENS,
    *clock_screen.SCREENS,
    *state_screen.SCREENS,
    *account_screen.SCREENS,
)
ACTS: Sequence[Act] = (*fault_screen.ACTS, *clock_screen.ACTS, *state_screen.ACTS)
