"""The Canonical ABI: values in memories and core values, compiled per type."""

from .codec import Abi
from .context import Context
from .explain import HandleError
from .layout import (
    MAX_FLAT_ASYNC_PARAMS,
    MAX_FLAT_PARAMS,
    MAX_FLAT_RESULTS,
    Options,
    flatten_func,
    needs_context,
)

__all__ = [
    "MAX_FLAT_ASYNC_PARAMS",
    "MAX_FLAT_PARAMS",
    "MAX_FLAT_RESULTS",
    "Abi",
    "Context",
    "HandleError",
    "Options",
    "flatten_func",
    "needs_context",
]
