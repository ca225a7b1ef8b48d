"""Everything callers make, from the exercises: each that makes something, or takes a token.

What is asked is marked with the intent's name, as a tag or in a text of its own, so that the
auditor finds in every row what it was made for. Other parameters under the same token come by
themselves: every new intent has another mark.
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
    """One request that callers make."""

    asking: Request

    @property
    def action(self) -> str:
        return self.asking.action

    @property
    def makes(self) -> bool:
        """False: it changes what others made."""
        return self.asking.makes

    @cached_property
    def takes_token(self) -> bool:
        return self.asking.has_token

    @cached_property
    def zone(self) -> str | None:
        """The parameter that scopes the token, where EC2 scopes it by zone."""
        return catalogue.zone_in(self.action)

    @cached_property
    def standing(self) -> bool:
        """Whether EC2 answers an equal request with what is there."""
        repeat = catalogue.repeat_of(self.asking.asked)
        return self.makes and repeat is not None and repeat.does is Does.SAME

    @cached_property
    def needs(self) -> tuple[str, ...]:
        """The actions that make what it names."""
        return tuple(requests.making(kind).action for kind in probe.needs(self.asking))

    @cached_property
    def _tags(self) -> bool:
        return self.makes and "TagSpecifications" in catalogue.inputs(self.action)

    def told(self, result: Document) -> tuple[str, ...]:
        """The ids that an accepted answer names as made."""
        return self.asking.told(result)

    def drafted(self, draft: Draft) -> dict[str, str]:
        """The form of a new intent, marked with its name. Raises `NothingThereError`."""
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

# What meets at the same rows, so that it says most when it is mixed: most schedules begin with one.
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
