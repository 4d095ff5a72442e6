"""asyncwasm for the runner of the WASI test suite (https://github.com/WebAssembly/wasi-testsuite).

Give this file to the suite's `run-tests` with `-r`.  `ASYNCWASM` is the command to test, by
default `asyncwasm`, and `ASYNCWASM_RUN_OPTIONS` what to tell its `run`, such as `--engine=native`.
"""

from __future__ import annotations

import os
import shlex
import subprocess

ASYNCWASM = shlex.split(os.environ.get("ASYNCWASM", "asyncwasm"))
OPTIONS = shlex.split(os.environ.get("ASYNCWASM_RUN_OPTIONS", ""))


def get_name() -> str:
    return "asyncwasm"


def get_version() -> str:
    done = subprocess.run([*ASYNCWASM, "--version"], capture_output=True, text=True, check=True)
    return done.stdout.split()[-1]


def get_wasi_versions() -> list[str]:
    return ["wasm32-wasip1"]


def get_wasi_worlds() -> list[str]:
    return ["wasi:cli/command"]


def compute_argv(
    test_path: str,
    args_env_root: tuple[list[str], dict[str, str], str | None],
    proposals: list[str],
    wasi_world: str,
    wasi_version: str,
) -> list[str]:
    args, env, root = args_env_root
    options = [f"--env={name}={value}" for name, value in env.items()]
    if root:
        options.append(f"--dir={root}::/")
    return [*ASYNCWASM, "run", *OPTIONS, *options, test_path, *args]
