"""The log as objects of JSON, one a line, by structlog: moment, level, event, and its fields."""

from __future__ import annotations

import copy
import logging
from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import Any

import orjson
import structlog
from structlog.stdlib import ProcessorFormatter
from structlog.typing import EventDict

from sametoken.events import Events, Line

# The event of a line that is a text, and has no fields but that.
TEXT = "text"


class JsonFormatter(ProcessorFormatter):
    """Writes each event as an object, and every other line as one with a `message`."""

    def __init__(self) -> None:
        super().__init__(
            foreign_pre_chain=[
                structlog.stdlib.add_log_level,
                structlog.stdlib.add_logger_name,
            ],
            processors=[
                _dated,
                _taken_apart,
                ProcessorFormatter.remove_processors_meta,
                structlog.processors.dict_tracebacks,
                structlog.processors.JSONRenderer(serializer=_dumped),
            ],
        )

    def format(self, record: logging.LogRecord) -> str:
        if not isinstance(record.msg, Events):
            return super().format(record)
        lines = []
        for event in record.msg:
            one = copy.copy(record)
            one.msg = event
            lines.append(super().format(one))
        return "\n".join(lines)


def _dated(logger: Any, method: str, said: EventDict) -> MutableMapping[str, Any]:
    """Put the moment first, of the record and not of its writing."""
    moment = datetime.fromtimestamp(said["_record"].created, UTC)
    return {"time": moment.isoformat(timespec="milliseconds"), **said}


def _taken_apart(logger: Any, method: str, said: EventDict) -> MutableMapping[str, Any]:
    """Put the event's name and fields, or a text, in the place of the line's text."""
    message = said["_record"].msg
    if isinstance(message, Line):
        return {**said, "event": message.kind.name, **message.values()}
    return {**said, "event": TEXT, "message": said["event"]}


def _dumped(said: Any, **options: Any) -> str:
    return orjson.dumps(said, default=str).decode()
