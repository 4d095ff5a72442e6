"""Limits of the implementation: how big a component may be.

They bound the time and memory that a hostile component takes, and are Wasmtime's where it has
them.  What passes one is a `ResourceLimitError`: such a component is neither malformed nor invalid.
"""

from __future__ import annotations

from typing import Final

from asyncwasm.core.binary.limits import MAX_MODULE_BYTES
from asyncwasm.core.binary.limits import check_limit as check_limit

MAX_COMPONENT_BYTES: Final = MAX_MODULE_BYTES
# Definitions of a component, its nested ones included; declarators count like definitions.
MAX_DEFINITIONS: Final = 1_000_000
# How deep components, or declarations of types, are nested in each other.
MAX_NESTING: Final = 100
MAX_FIELDS: Final = 10_000
MAX_PARAMS: Final = 1_000
MAX_ARGS: Final = 100_000
MAX_NAME_BYTES: Final = 100_000
# How deep value types are, and how many types one is made of, counted with repetition.
MAX_TYPE_DEPTH: Final = 100
MAX_TYPE_SIZE: Final = 100_000
# How many parts the type of an instance or a component has, counted with repetition.
MAX_ITEM_SIZE: Final = 100_000
# How many steps validation takes in substituting in types and in comparing them.
MAX_WORK: Final = 1_000_000
