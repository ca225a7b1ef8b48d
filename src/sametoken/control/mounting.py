"""Mounting the control routes on a node that is in development mode."""

from __future__ import annotations

from sametoken.control.acts import acts_of
from sametoken.control.controls import Controls
from sametoken.control.guard import Guard, refuse_pages
from sametoken.node import Node
from sametoken.server.asgi import Application
from sametoken.server.exposition import METRICS
from sametoken.server.stages import Stage


def mount(node: Node) -> Controls:
    """Have the node answer at its control routes; returns its controls."""
    assert node.settings.dev, "only development mode has control routes"
    controls = Controls(node)

    def make() -> Application:
        from sametoken.control.web import application

        return application(acts_of(controls))

    node.app.control = Guard(make)
    node.app.routes[METRICS] = Guard(node.metrics)
    if node.settings.choices.any_credentials:
        node.app.pipeline.insert(Stage("page", refuse_pages), before="service")
    return controls
