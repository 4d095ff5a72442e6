"""Helpers for tests: the runner for test scripts (`.wast`) and the `spectest` host module."""

from __future__ import annotations

from .results import Failure, ScriptResult, Skip
from .spectest import define_spectest
from .wast import run_script, run_script_sync, script_config

__all__ = [
    "Failure",
    "ScriptResult",
    "Skip",
    "define_spectest",
    "run_script",
    "run_script_sync",
    "script_config",
]
