"""The text format of components: the assembler, the printer, and the commands of scripts.

The text format is an abbreviation of the binary one, built on that of core modules.
"""

from .assembler import assemble_component as assemble_component
from .printer import print_component as print_component

__all__ = ["assemble_component", "print_component"]
