"""What is known of values at a point of a function, from the code that always runs before it.

Code is shorter for it: locals need not be read again, nor addresses checked again.  LLVM would find
out most of it by itself where it optimises; but not that memories only grow, so that what was in
bounds once always is.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Then(NamedTuple):
    """What was known at some point, and how often locals had been set."""

    locals: dict[int, str]
    wide: dict[str, str]
    inside: dict[tuple[int, str], int]
    times: dict[int, int]


class Known:
    """The facts at the point that is being translated.  Values are named as in IR."""

    def __init__(self) -> None:
        # What locals hold that are no references, by their number.
        self.locals: Final[dict[int, str]] = {}
        # The addresses that i32 values are.
        self.wide: Final[dict[str, str]] = {}
        # How many bytes from an address on are in bounds, by memory and address.
        self.inside: Final[dict[tuple[int, str], int]] = {}
        # How often locals were set.
        self._times: Final[dict[int, int]] = {}

    def set(self, local: int, value: str) -> None:
        """A local is set."""
        self.locals[local] = value
        self._times[local] = self._times.get(local, 0) + 1

    def forget(self) -> None:
        """Several ways meet here."""
        self.locals.clear()
        self.wide.clear()
        self.inside.clear()

    def now(self) -> Then:
        """The facts here, for where ways meet that all came by here."""
        return Then(dict(self.locals), dict(self.wide), dict(self.inside), dict(self._times))

    def recall(self, then: Then, *, locals: bool = True) -> None:
        """All ways that meet here came by `then`, and all code between was translated.

        If not all was (in a loop), locals may have been set that are not known to be: leave out
        `locals`.
        """
        self.wide.update(then.wide)
        self.inside.update(then.inside)
        if locals:
            for number, value in then.locals.items():
                if self._times.get(number) == then.times.get(number):
                    self.locals[number] = value
