"""Accounts, Regions and tags: the actions of this family."""

from __future__ import annotations

from sametoken.ec2.account import (
    accounts,
    geography,
    tags,
)
from sametoken.ec2.kit.actions import Action

ACTIONS: tuple[Action, ...] = (
    *accounts.ACTIONS,
    *geography.ACTIONS,
    *tags.ACTIONS,
)
