"""Tables of commands, printed with whole cells, to a terminal or to a pipe."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

# Wider than any table here. A pipe has no width of its own, and a token cut off at 80 columns
# could not be given back to another command.
_PIPE_COLUMNS = 1000


def print_table(table: Table) -> None:
    """Print to standard output; on a narrow terminal cells are folded, never cut off."""
    for column in table.columns:
        column.overflow = "fold"
    console = Console()
    if not console.is_terminal:
        console = Console(width=_PIPE_COLUMNS)
    console.print(table)
