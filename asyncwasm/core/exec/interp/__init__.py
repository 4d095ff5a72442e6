"""The portable engine: guest functions as generated Python.

Each function is translated to Python source when it is first called: `parse` makes a tree of its
bytes, `control` (or `flat`, for what nests too deeply) writes the control flow, and the
lowerings in the remaining modules write the rest, by way of `body`, which keeps WebAssembly's
operand stack as Python expressions.  `translate` compiles the result, `engine` binds it to
instances, and `locate` finds the way back from Python frames.
"""

from .engine import Interpreter

__all__ = ["Interpreter"]
