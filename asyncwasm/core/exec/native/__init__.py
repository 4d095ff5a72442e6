"""The native engine: guest functions as machine code, through LLVM.

The only package that imports llvmlite.  What it does not cover runs on the interpreter, function
by function, inside the same instance.
"""

from .compiler import CompileError, load
from .executor import NativeExecutor
from .support import unsupported

__all__ = ["CompileError", "NativeExecutor", "load", "unsupported"]
