"""Kills of the process at its points, as the rules of its node say. SIGKILL: nothing is flushed."""

from __future__ import annotations

import os
import signal

from sametoken.faults.board import Board
from sametoken.faults.kinds import Kind
from sametoken.faults.points import Point, install
from sametoken.faults.rules import Occasion


def watch(board: Board) -> None:
    """Have rules of `board` kill this process from now on. It must be no other node's too."""

    def reached(point: Point) -> None:
        if not board.of_processes:
            return
        if board.strike(Occasion(f"process {os.getpid()}", point=point), (Kind.KILL,)):
            os.kill(os.getpid(), signal.SIGKILL)

    install(reached)
