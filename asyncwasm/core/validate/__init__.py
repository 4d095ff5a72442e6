"""Validation of core modules, driven by the instruction table.

`validate_module` checks a whole decoded module, `validate_function` one body, for those who
validate bodies only when they need them.
"""

from .function import validate_function as validate_function
from .module import validate_extern_type as validate_extern_type
from .module import validate_module as validate_module
