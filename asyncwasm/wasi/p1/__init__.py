"""WASI preview 1, `wasi_snapshot_preview1`: a thin adapter over the capabilities of `host`.

One module per area, each ending in a table of its functions; `linking` defines them all.  Knows
nothing of other WASI versions.
"""

from .linking import add_imports_async as add_imports_async
from .linking import add_to_linker_async as add_to_linker_async
from .linking import add_to_linker_sync as add_to_linker_sync

__all__ = ["add_imports_async", "add_to_linker_async", "add_to_linker_sync"]
