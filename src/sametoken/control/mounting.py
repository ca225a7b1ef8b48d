"""Mounting the control routes on a node that is in development mode."""

from __future__ import annotations

from sametoken.control.acts import acts_of
from sametoken.control.controls import Controls
from sametoken.control.guard import Guard
from sametoken.node import Node
from sametoken.server.asgi import Application


def mount(node: Node) -> Controls:
    """Have the node answer at its control routes; returns its controls."""
    assert node.settings.dev, "only development mode has control routes"
    controls = Controls(node)

    def make() -> Application:
        from sametoken.control.web import application

        return application(acts_of(controls))

    node.app.control = Guard(make)
    return controls
