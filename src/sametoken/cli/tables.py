"""Tables and texts of commands, printed whole, to a terminal or to a pipe.

Texts that callers chose are shown as they are: no markup of the terminal's library, and no
character that would move its cursor.
"""

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
    console = Console(markup=False, emoji=False)
    if not console.is_terminal:
        console = Console(markup=False, emoji=False, width=_PIPE_COLUMNS)
    console.print(table)


def visible(text: str) -> str:
    """Return `text` with escapes for the characters that are not printable."""
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in text)
