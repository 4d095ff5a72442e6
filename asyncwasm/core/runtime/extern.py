"""Externs: what modules import and export."""

from __future__ import annotations

from typing import TypeAlias

from asyncwasm.core.types import ExternFunc, ExternType

from .func import Func
from .global_ import Global
from .memory import Memory
from .shared_memory import SharedMemory
from .table import Table
from .tag import Tag

Extern: TypeAlias = Func | Memory | SharedMemory | Table | Global | Tag


def is_extern(value: object) -> bool:
    """Whether `value` can be given for an import."""
    return isinstance(value, Extern)


def live_type(extern: Extern) -> ExternType:
    """The extern's type, with the current size of a memory or table as its minimum."""
    if isinstance(extern, Func):
        return ExternFunc(extern.type)
    if isinstance(extern, (Memory, SharedMemory, Table)):
        return extern.live_type()
    return extern.type
