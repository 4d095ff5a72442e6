"""Core types against each other: imports of core modules against what is given for them.

See "Matching" of external types in the core specification.
"""

from __future__ import annotations

from asyncwasm.core.types import (
    ExternFunc,
    ExternType,
    GlobalType,
    Limits,
    MemoryType,
    TableType,
    TagType,
)

_KINDS = {
    ExternFunc: "func",
    TableType: "table",
    MemoryType: "memory",
    GlobalType: "global",
    TagType: "tag",
}


def core_mismatch(actual: ExternType, expected: ExternType) -> str | None:
    """Why `actual` does not match `expected`; None if it does."""
    match actual, expected:
        case ExternFunc(given), ExternFunc(wanted):
            if not given.matches(wanted):
                return f"expected: {wanted}, found: {given}"
        case TagType(given), TagType(wanted):
            if given is not wanted:
                return f"expected tag type {wanted}, found {given}"
        case GlobalType(), GlobalType():
            return _global_mismatch(actual, expected)
        case TableType(), TableType():
            if actual.element is not expected.element:
                return f"expected table element type {expected.element}, found {actual.element}"
            if actual.index_type is not expected.index_type:
                return "mismatch in index type used for tables"
            if not _limits_match(actual.limits, expected.limits):
                return "mismatch in table limits"
        case MemoryType(), MemoryType():
            return _memory_mismatch(actual, expected)
        case _:
            return f"expected {_KINDS[type(expected)]}, found {_KINDS[type(actual)]}"
    return None


def _global_mismatch(actual: GlobalType, expected: GlobalType) -> str | None:
    if actual.mutable is not expected.mutable:
        return "global types differ in mutability"
    matches = (
        actual.content is expected.content
        if actual.mutable
        else actual.content.matches(expected.content)
    )
    if matches:
        return None
    return f"expected global type {expected.content}, found {actual.content}"


def _memory_mismatch(actual: MemoryType, expected: MemoryType) -> str | None:
    if actual.shared is not expected.shared:
        return "mismatch in the shared flag for memories"
    if actual.index_type is not expected.index_type:
        return "mismatch in index type used for memories"
    if actual.page_size != expected.page_size:
        return "mismatch in page size for memories"
    return None if _limits_match(actual.limits, expected.limits) else "mismatch in memory limits"


def _limits_match(actual: Limits, expected: Limits) -> bool:
    return actual.minimum >= expected.minimum and (
        expected.maximum is None
        or (actual.maximum is not None and actual.maximum <= expected.maximum)
    )
