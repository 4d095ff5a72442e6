"""What to raise where several things have failed."""

from __future__ import annotations

from collections.abc import Sequence


def together(first: BaseException, others: Sequence[BaseException]) -> BaseException:
    """One exception for all: a group, unless only one of them is a failure.

    A cancellation is none; it has done what it was for when others come out instead, as from the
    event loops' own task groups.
    """
    failures = list(others)
    if isinstance(first, (Exception, KeyboardInterrupt, SystemExit)):
        failures.insert(0, first)
    if len(failures) == 1:
        return failures[0]
    return BaseExceptionGroup("several failures in a store", failures)
