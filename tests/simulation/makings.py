"""Makings: the requests of the exercises that make a resource or take a token, for callers.

A request is marked with its intent's name, as a tag or in another text, so that the auditor finds
in every row the intent it was made for. The mark also makes the parameters of two intents under one
token differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from exercises import catalogue, probe, requests
from exercises.catalogue import Does
from exercises.requests import Request
from simulation.ground import Draft

Document = dict[str, Any]


@dataclass(frozen=True)
class Making:
    """A request of an exercise, as callers make it."""

    asking: Request

    @property
    def action(self) -> str:
        return self.asking.action

    @property
    def makes(self) -> bool:
        """Tell whether it makes a resource; otherwise it only changes some."""
        return self.asking.makes

    @cached_property
    def takes_token(self) -> bool:
        return self.asking.has_token

    @cached_property
    def zone(self) -> str | None:
        """Return the parameter of the zone that scopes the token; None if a Region scopes it."""
        return catalogue.zone_in(self.action)

    @cached_property
    def standing(self) -> bool:
        """Tell whether EC2 answers an equal request with the resource that exists."""
        repeat = catalogue.repeat_of(self.asking.asked)
        return self.makes and repeat is not None and repeat.does is Does.SAME

    @cached_property
    def needs(self) -> tuple[str, ...]:
        """Return the actions that make the resources it names."""
        return tuple(requests.making(kind).action for kind in probe.needs(self.asking))

    @cached_property
    def _tags(self) -> bool:
        return self.makes and "TagSpecifications" in catalogue.inputs(self.action)

    def told(self, result: Document) -> tuple[str, ...]:
        """Return the ids that an accepted answer names as made."""
        return self.asking.told(result)

    def drafted(self, draft: Draft) -> dict[str, str]:
        """Draft the form of a new intent, marked with its name. Raises `NothingThereError`."""
        assert self.asking.draft is not None, "callers ask nothing else"
        asked = self.asking.draft(draft)
        if self._tags:
            tags = [{"Key": "intent", "Value": draft.mark}]
            asked = {
                **asked,
                "TagSpecifications": [{"ResourceType": self.asking.kind, "Tags": tags}],
            }
        return catalogue.form_of(self.action, asked)


MAKINGS: Mapping[str, Making] = {one.action: Making(one) for one in requests.mixed()}

# Actions whose requests meet at the same rows, where bugs are most likely: most schedules have one
# of these sets.
MEETINGS = (
    ("RunInstances", "CreateVolume"),
    ("CreateVolume", "RunInstances", "CreateSnapshot"),
    ("RunInstances", "CreateNetworkInterface"),
    ("RunInstances", "CreateTrafficMirrorTarget"),
    ("RunInstances", "CreateNetworkInterface", "AllocateAddress"),
    ("RunInstances", "CreateCapacityReservation"),
    ("CreateCapacityReservationBySplitting", "MoveCapacityReservationInstances"),
    ("RunInstances", "CreateLaunchTemplate", "CreateLaunchTemplateVersion"),
    ("AllocateAddress", "CreateNatGateway", "CreateNetworkInterface"),
    ("CreateNetworkInterface", "CreateFlowLogs"),
    ("CreateVolume", "CreateSnapshot", "RegisterImage"),
    ("CreateRouteTable", "CreateVpcEndpoint"),
    ("CreateVpc", "CreateSubnet", "CreateSecurityGroup"),
    ("CreateVpnConnection", "ImportKeyPair"),
)
