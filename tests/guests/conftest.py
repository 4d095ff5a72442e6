"""Real programs, fetched when the tests run; without npm or a network they are skipped."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest

from asyncwasm import Engine, Module

_SCRIPT = Path(__file__).parents[2] / "examples" / "fetch_guest.py"
_spec = importlib.util.spec_from_file_location("fetch_guest", _SCRIPT)
assert _spec is not None
assert _spec.loader is not None
fetch_guest = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(fetch_guest)


@pytest.fixture(scope="session")
def guest_path() -> Callable[[str], Path]:
    """The path of a package's main module, by the package's name."""
    failures: dict[str, str] = {}

    def path(package: str) -> Path:
        if package not in failures:
            try:
                return fetch_guest.module_path(package)
            except fetch_guest.FetchError as error:
                failures[package] = str(error)
        pytest.skip(failures[package])

    return path


@pytest.fixture(scope="session")
def engine() -> Engine:
    return Engine()


@pytest.fixture(scope="session")
def guest_module(engine: Engine, guest_path: Callable[[str], Path]) -> Callable[[str], Module]:
    """A package's main module, compiled once a session: functions stay translated."""
    modules: dict[str, Module] = {}

    def module(package: str) -> Module:
        if package not in modules:
            modules[package] = Module.from_file(engine, guest_path(package))
        return modules[package]

    return module
