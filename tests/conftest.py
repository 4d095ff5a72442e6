"""Fixtures shared by all tests, and the check that no test leaves anything behind."""

from __future__ import annotations

import asyncio
import functools
import gc
import inspect
import sys
import traceback
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest
import trio
from hypothesis import settings

from asyncwasm import Config
from asyncwasm.fiber import live_fibers

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")


@pytest.fixture(params=["trio", "asyncio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Tests marked `anyio` run once on each event loop."""
    return request.param


@pytest.fixture
def unraisables() -> Iterator[list[str]]:
    """What went to `sys.unraisablehook`, as text; a test that expects some clears the list.

    Coroutines never awaited are among it, because warnings are errors.
    """
    seen: list[str] = []

    def hook(args: Any) -> None:
        # Formatted at once: the arguments would keep alive what is being finalized.
        lines = traceback.format_exception(args.exc_type, args.exc_value, args.exc_traceback)
        seen.append(f"{args.err_msg or 'Exception ignored in'} {args.object!r}\n{''.join(lines)}")

    previous = sys.unraisablehook
    sys.unraisablehook = hook
    yield seen
    sys.unraisablehook = previous


@pytest.fixture(autouse=True)
def no_leaks(request: pytest.FixtureRequest, unraisables: list[str]) -> Iterator[None]:
    """Fail a test that leaves live fibers or had exceptions nobody could catch."""
    before = live_fibers()
    yield
    if inspect.iscoroutinefunction(request.function) or "/tests/fiber/" in str(request.path):
        gc.collect()
    leaks = list(unraisables)
    if live_fibers() > before:
        leaks.append(f"{live_fibers() - before} fibers are still live")
    if leaks:
        pytest.fail("\n".join(leaks), pytrace=False)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--strategy",
        choices=["auto", "native", "interpreter"],
        help="what `Config.strategy` is where a test does not say",
    )


def pytest_configure(config: pytest.Config) -> None:
    strategy = config.getoption("strategy")
    if strategy is not None:
        # Here, and not by an option of the package: how a program runs is nothing that an
        # environment variable should decide.
        Config.__init__.__kwdefaults__["strategy"] = strategy


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.obj):
            item.obj = _leaving_no_tasks(item.obj)


def pytest_collection_finish() -> None:
    # What is there by now stays, and need not be looked through after every test.
    gc.collect()
    gc.freeze()


def _leaving_no_tasks(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., Any]:
    @functools.wraps(test)
    async def watched(*args: Any, **kwargs: Any) -> None:
        before = _tasks()
        await test(*args, **kwargs)
        leaks = _tasks() - before
        assert not leaks, f"the test left tasks running: {leaks}"

    return watched


def _tasks() -> set[Any]:
    if not trio.lowlevel.in_trio_task():
        return set(asyncio.all_tasks())
    tasks = set()
    left = [trio.lowlevel.current_root_task()]
    while left:
        task = left.pop()
        assert task is not None
        tasks.add(task)
        for nursery in task.child_nurseries:
            left.extend(nursery.child_tasks)
    return tasks
