"""Limits of the implementation: how big a module may be.

They are those of the WebAssembly JavaScript interface ("Implementation-defined Limits"), so a
module that runs in a browser is not refused here.  What passes one is a `ResourceLimitError`,
raised by `check_limit`: such a module is neither malformed nor invalid.
"""

from __future__ import annotations

from typing import Final

from asyncwasm.errors import ResourceLimitError

MAX_MODULE_BYTES: Final = 1 << 30
MAX_TYPES: Final = 1_000_000
MAX_SUBTYPING_DEPTH: Final = 63
MAX_PARAMS: Final = 1_000
MAX_RESULTS: Final = 1_000
MAX_FIELDS: Final = 10_000
MAX_IMPORTS: Final = 1_000_000
MAX_FUNCTIONS: Final = 1_000_000
MAX_TABLES: Final = 100_000
MAX_MEMORIES: Final = 100
MAX_GLOBALS: Final = 1_000_000
MAX_TAGS: Final = 1_000_000
MAX_EXPORTS: Final = 1_000_000
MAX_ELEM_SEGMENTS: Final = 10_000_000
MAX_SEGMENT_ELEMENTS: Final = 10_000_000
MAX_DATA_SEGMENTS: Final = 100_000
MAX_BODY_BYTES: Final = 7_654_321
MAX_LOCALS: Final = 50_000
MAX_FIXED_ARRAY: Final = 10_000
# The next two are ours: they bound what a few bytes of code can make validation hold.
MAX_NESTING: Final = 50_000
MAX_OPERANDS: Final = 8_000_000


def check_limit(count: int, limit: int, what: str) -> None:
    """Raise `ResourceLimitError` if a module has more than `limit` of `what`."""
    if count > limit:
        raise ResourceLimitError(f"{count} {what} exceed the limit of {limit}")
