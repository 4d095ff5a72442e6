"""`asyncwasm wast`: run spec test scripts and count what their commands do."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal

import trio

from asyncwasm.core.isa.features import Feature
from asyncwasm.testing import ScriptResult, run_script, run_script_sync, script_config

from ._failure import Failure, blame, report
from ._options import add_engine_option, add_wasm_option, make_engine, positive


def make_parser(prog: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Run test scripts, every proposal being on unless --wasm says otherwise, and "
        "print how many commands passed, failed and were skipped.  A failure is a line "
        "`FILE:LINE: expected …, got …`.  The exit status is 1 if there was one.",
    )
    parser.add_argument(
        "files",
        metavar="FILE",
        nargs="+",
        help="a script; of a directory, all *.wast files directly inside",
    )
    parser.add_argument(
        "--jobs", metavar="N", type=positive, default=1, help="run in N processes (default 1)"
    )
    parser.add_argument("--json", action="store_true", help="write one JSON object")
    parser.add_argument(
        "--loop",
        choices=["trio", "asyncio", "none"],
        default="trio",
        help="the event loop to run on; none is for the sync entry points (default trio)",
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="only failures and the total")
    add_engine_option(parser)
    add_wasm_option(parser)
    return parser


def run(args: argparse.Namespace) -> int:
    jobs = [(file, args.engine, tuple(args.wasm), args.loop) for file in _expand(args.files)]
    results = []
    status = 0
    for outcome in _run_all(jobs, args.jobs):
        if isinstance(outcome, str):
            report(Failure(outcome))
            status = 1
            continue
        results.append(outcome)
        if not args.json:
            _show(outcome, quiet=args.quiet)
            sys.stdout.flush()
    if args.json:
        print(json.dumps(_as_json(results), indent=2, ensure_ascii=False))
    else:
        print(_counts("total", results))
    return 1 if any(result.failures for result in results) else status


def _expand(paths: Sequence[str]) -> list[str]:
    files: list[str] = []
    for path in paths:
        if not Path(path).is_dir():
            files.append(path)
            continue
        found = sorted(str(file) for file in Path(path).glob("*.wast"))
        if not found:
            raise Failure(f"{path}: no *.wast files in this directory")
        files += found
    return files


_Job = tuple[str, Literal["auto", "interpreter", "native"], tuple[tuple[Feature, bool], ...], str]


def _run_all(jobs: list[_Job], processes: int) -> Iterator[ScriptResult | str]:
    """The results in the order of the files; of a file that cannot be read, a message."""
    if processes == 1 or len(jobs) == 1:
        yield from map(_run_file, jobs)
        return
    # Fresh processes: a fork would copy whatever threads and loops this one has.
    pool = ProcessPoolExecutor(min(processes, len(jobs)), mp_context=get_context("spawn"))
    futures: list[Future[ScriptResult | str]] = []
    try:
        futures += [pool.submit(_run_file, job) for job in jobs]
        for future in futures:
            yield future.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _run_file(job: _Job) -> ScriptResult | str:
    file, strategy, switches, loop = job
    try:
        with blame(file):
            text = Path(file).read_bytes()
        options: dict[str, Any] = {feature.switch: on for feature, on in switches}
        engine = make_engine(script_config(Path(file).absolute(), strategy=strategy, **options))
    except Failure as failure:
        return str(failure)
    if loop == "none":
        return run_script_sync(text, file=file, engine=engine)

    async def main() -> ScriptResult:
        return await run_script(text, file=file, engine=engine)

    if loop == "trio":
        return trio.run(main)
    import asyncio

    return asyncio.run(main())


def _show(result: ScriptResult, *, quiet: bool) -> None:
    if not quiet or result.failures:
        print(_counts(result.file, [result]))
    for failure in result.failures:
        print(f"{result.file}:{failure.line}: {failure}")
    for skip in () if quiet else result.skips:
        print(f"{result.file}:{skip.line}: skipped: {skip.reason}")


def _counts(name: str, results: Sequence[ScriptResult]) -> str:
    passed = sum(result.passed for result in results)
    failed = sum(result.failed for result in results)
    skipped = sum(result.skipped for result in results)
    return f"{name}: {passed} passed, {failed} failed, {skipped} skipped"


def _as_json(results: Sequence[ScriptResult]) -> dict[str, Any]:
    return {
        "passed": sum(result.passed for result in results),
        "failed": sum(result.failed for result in results),
        "skipped": sum(result.skipped for result in results),
        "files": [
            {**asdict(result), "failed": result.failed, "skipped": result.skipped}
            for result in results
        ],
    }
