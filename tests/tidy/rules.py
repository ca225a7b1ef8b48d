"""Every rule, by what it reads: modules of the package, every Python file, every text."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tidy import bans, imports, pages, shape, words
from tidy.sources import Source, every_module

Rule = Callable[[Source], Iterator[str]]

FOR_OURS: tuple[Rule, ...] = (
    imports.absolute,
    imports.rightward,
    imports.storeyed,
    imports.protocol_alone,
    imports.calls_nothing_out,
    imports.commands_thin,
    imports.services_apart,
    imports.engine_alone,
    imports.declared,
    bans.through_the_world,
    bans.sql_at_home,
    bans.narrow_excepts,
    bans.moments_at_home,
    bans.no_print,
    bans.built_on_import,
    bans.rows_by_their_doors,
)
FOR_MODULES: tuple[Rule, ...] = (
    shape.file_fits,
    shape.functions_fit,
    shape.lines_fit,
    shape.documented,
    shape.named,
    shape.excused,
    words.plain,
    bans.seams,
)
FOR_TEXTS: tuple[Rule, ...] = (
    shape.pages_fit,
    pages.cited_pages_exist,
    pages.links_lead_there,
    shape.finished,
    shape.no_machine,
    shape.no_registry,
    shape.locked,
)


def to_read(texts: list[Source]) -> list[tuple[Rule, list[Source]]]:
    """Each rule with those of `texts` that it is for."""
    modules = every_module(texts)
    ours = [module for module in modules if module.is_ours]
    return [
        *((rule, ours) for rule in FOR_OURS),
        *((rule, modules) for rule in FOR_MODULES),
        *((rule, texts) for rule in FOR_TEXTS),
    ]
