"""The functions that units share the text of: only those that a unit uses go into it.

LLVM would compile them all, where it does not optimise.
"""

from __future__ import annotations

import re
from typing import Final

_NAMES: Final = re.compile(r"@([\w.]+)")
_HEAD: Final = re.compile(r"^define [^@]*@([\w.]+)")


class Parts:
    """Definitions in IR, and what comes with them in any case."""

    def __init__(self, text: str) -> None:
        always = []
        self._functions: Final[dict[str, tuple[str, set[str]]]] = {}
        for part in re.split(r"^(?=define )", text, flags=re.MULTILINE):
            head = _HEAD.match(part)
            if head is None:
                always.append(part)
                continue
            # What follows a function is not its own.
            body, end, rest = part.partition("\n}")
            self._functions[head[1]] = body + end, set(_NAMES.findall(body))
            always.append(rest)
        self._always: Final = "\n".join(part.strip() for part in always if part.strip())

    def used_by(self, text: str) -> str:
        """What `text` needs: the definitions that it uses, directly or not, and the rest."""
        todo = set(_NAMES.findall(text)) & self._functions.keys()
        done: dict[str, str] = {}
        while todo:
            name = todo.pop()
            done[name], names = self._functions[name]
            todo |= (names & self._functions.keys()) - done.keys()
        # The same text in every process: code is found again by its text.
        return "\n".join([self._always, *(done[name] for name in sorted(done))])
