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

# Folders and files that are still to be rewritten. A test says when a name can be taken off.
LEFT: tuple[str, ...] = (
    "src/sametoken/cli/",
    "src/sametoken/ec2/protocol/",
    "src/sametoken/idempotency/",
    "src/sametoken/node.py",
    "src/sametoken/resources/account/",
    "src/sametoken/resources/kit/",
    "src/sametoken/resources/network/addresses.py",
    "src/sametoken/resources/network/vpcs.py",
    "src/sametoken/server/",
    "src/sametoken/settings.py",
    "src/sametoken/store/",
    "src/sametoken/workflow/work.py",
    "tests/conftest.py",
    "tests/exhaustive/",
    "tests/plane.py",
    "tests/store/",
    "tests/test_docs.py",
)

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
    if not source.path.startswith(LEFT):
        yield from riddles(source)


def riddles(source: Source) -> Iterator[str]:
    """Yield the violations of `plain`, in folders that are left too."""
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
