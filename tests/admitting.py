"""Requests past everything that depends on them alone, for suites without HTTP and signatures."""

from __future__ import annotations

from sametoken.ec2.protocol.model import ServiceModel
from sametoken.ec2.protocol.query import Form
from sametoken.server import admission
from sametoken.server.admission import Admitted
from sametoken.server.credentials import Principal


def admit(form: Form, principal: Principal, region: str, request_id: str) -> Admitted:
    """Admit a form as `server.pipeline` does between its throttle and its transaction."""
    admitted = admission.parse(
        form,
        ServiceModel.load("ec2"),
        principal=principal,
        region=region,
        request_id=request_id,
    )
    admission.authorise(admitted)
    return admission.without_dry_run(admitted)
