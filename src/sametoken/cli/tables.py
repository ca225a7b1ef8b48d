"""Tables and texts of commands, for a terminal, a pipe, and with `--json` for programs.

No cell is ever cut, since an id that was cut could not be given to another command. On a terminal
that is too narrow the columns that say the least are left out, and named below the table; if that
is not enough, each row becomes a block of lines. In a pipe there is no width, and no line but rows
and their heading.

Texts that callers chose are shown as they are: no character of theirs moves the cursor.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import click

_GAP = "  "

only_account_option = click.option("--account", help="Only this account's (12 digits).")
limit_option = click.option(
    "--limit",
    type=click.IntRange(1, 10_000),
    default=50,
    show_default=True,
    help="How many at most.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


@dataclass(frozen=True, slots=True)
class Column:
    """A column: the member of a record that it shows, and its heading.

    Where there is no room, columns that `yield` the most go first; those with 0 never do.
    """

    key: str
    heading: str
    yields: int = 0


def print_records(
    columns: Sequence[Column], records: Sequence[Mapping[str, Any]], *, as_json: bool
) -> None:
    """Print records to standard output, as a table or as a JSON list of objects."""
    if as_json:
        print_json(records)
        return
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for line in table_lines(columns, records, width):
        click.echo(line)


def print_json(value: Any) -> None:
    """Print a value as JSON, with moments in ISO's form."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=_plain))


def print_json_line(value: Any) -> None:
    """Print a value as JSON on one line."""
    click.echo(json.dumps(value, ensure_ascii=False, default=_plain))


def _plain(value: Any) -> Any:
    assert isinstance(value, datetime), f"no JSON for {value!r}"
    return value.isoformat()


def table_lines(
    columns: Sequence[Column], records: Sequence[Mapping[str, Any]], width: int | None
) -> list[str]:
    """Return the lines of a table, none of them longer than `width` if that can be."""
    cells = {one.key: [_shown(record.get(one.key)) for record in records] for one in columns}
    widths = {one.key: max(map(len, [one.heading, *cells[one.key]])) for one in columns}
    kept = list(columns)
    while width is not None and _width(kept, widths) > width:
        most = max(kept, key=lambda one: one.yields)
        if not most.yields:
            return _blocks(columns, cells, len(records))
        kept.remove(most)
    rows = [[one.heading for one in kept], *zip(*(cells[one.key] for one in kept), strict=True)]
    lines = [
        _GAP.join(text.ljust(widths[one.key]) for one, text in zip(kept, row, strict=True)).rstrip()
        for row in rows
    ]
    left_out = [one.heading for one in columns if one not in kept]
    if left_out:
        lines.append(f"(no room for: {', '.join(left_out)}; --json shows all)")
    return lines


def _width(columns: Sequence[Column], widths: Mapping[str, int]) -> int:
    return sum(widths[one.key] for one in columns) + len(_GAP) * (len(columns) - 1)


def _blocks(columns: Sequence[Column], cells: Mapping[str, Sequence[str]], count: int) -> list[str]:
    """Return a line for each cell, and an empty one between rows."""
    margin = max(len(one.heading) for one in columns)
    lines = list[str]()
    for place in range(count):
        lines += [""] if lines else []
        lines += [f"{one.heading.ljust(margin)}{_GAP}{cells[one.key][place]}" for one in columns]
    return lines


def _shown(value: Any) -> str:
    match value:
        case None:
            return "-"
        case datetime():
            return f"{value:%F %T}"
        case list() | tuple():
            return visible(" ".join(str(one) for one in value))
        case _:
            return visible(str(value))


def visible(text: str) -> str:
    """Return `text` with escapes for the characters that are not printable."""
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in text)
