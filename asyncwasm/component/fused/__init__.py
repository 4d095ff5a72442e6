"""Adapters between components as core modules, for whatever engine there is to compile.

A call from one component instance to another whose values need no Python object on their way is
done by a module made for the pair: it imports both memories and allocators and the callee, and
lifts and lowers in WebAssembly.
"""

from .adapter import MAX_TYPES, AdapterModule, Side, adapter
from .faults import FAULTS, raise_fault

__all__ = ["FAULTS", "MAX_TYPES", "AdapterModule", "Side", "adapter", "raise_fault"]
