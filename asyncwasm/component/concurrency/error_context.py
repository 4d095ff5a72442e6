"""Error contexts.  See `canon error-context.new` in `CanonicalABI.md` of the Component Model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from asyncwasm.errors import CanonicalAbiError


@final
@dataclass(frozen=True, slots=True, eq=False)
class ErrorContext:
    """What went wrong, in words for people; no more than a debugging aid."""

    debug_message: str


def expect_error_context(item: object) -> ErrorContext:
    """`item`, taken from a handle table.  Raises `CanonicalAbiError` if it is none."""
    if isinstance(item, ErrorContext):
        return item
    raise CanonicalAbiError("handle is not an error-context")
