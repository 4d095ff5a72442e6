"""The text format: the assembler, the printer, and the script language of the test suite.

The text format is an abbreviation of the binary one.  The assembler turns text into bytes and
the printer bytes into text; everything else in the package deals in bytes only.
"""

from .assembler import assemble as assemble

__all__ = ["assemble"]
