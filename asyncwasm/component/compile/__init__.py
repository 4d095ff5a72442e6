"""From a validated component to a flat program."""

from .inline import compile_component as compile_component

__all__ = ["compile_component"]
