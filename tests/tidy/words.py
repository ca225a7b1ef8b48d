"""The rule on words: a comment or docstring begins with a verb, or with a noun of the code below.

A question word or a pronoun stands for a noun that the reader has to guess, and a reader who does
not know the code yet cannot. No machine knows whether a word is a verb, or stands in the code; the
words that are never either are known, and no sentence begins with them.

Pure: one source in, its violations out.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tidy.sources import Source

_WORDS = (
    "What|Whatever|Who|Whoever|Whom|Whose|Which|Whichever|One|Ones|Those|They|Nobody|Nothing"
    "|Neither|Anybody|Anyone|Everybody|Everyone|Somebody|Someone"
)
# A quotation is not ours to change: its mark comes before the word, and neither pattern allows it.
_OPENING = re.compile(rf"[-*\s(]*({_WORDS}|None)\b(?!-)", re.IGNORECASE)
# Inside a text `None` is Python's value, as in "None for bare metal", unless it is "None of these".
_SENTENCE = re.compile(rf"(?:[.?!:][)\"”]*\s+|\n\n|\n- )\(?({_WORDS}|None of)\b(?!-)")


def plain(source: Source) -> Iterator[str]:
    """No sentence of a comment or docstring begins with a word that stands for another one."""
    for line, text in [*_docstrings(source.tree), *_comments(source)]:
        opening = _OPENING.match(text)
        for found in [*([opening] if opening else []), *_SENTENCE.finditer(text)]:
            at = line + text.count("\n", 0, found.start(1))
            yield source.says(at, f"{found[1]!r} begins a sentence: use a verb or the noun")


def _docstrings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text:
                yield node.body[0].lineno, text


def _comments(source: Source) -> Iterator[tuple[int, str]]:
    """Yield (first line, text): comments on lines that follow each other are one text."""
    first, lines = 0, list[str]()
    for line, comment in source.comments():
        is_alone = source.lines[line - 1].lstrip().startswith("#")
        if lines and not (is_alone and line == first + len(lines)):
            yield first, "\n".join(lines)
            lines = []
        if not lines:
            first = line
        lines.append(comment.lstrip("#:").strip())
    if lines:
        yield first, "\n".join(lines)
