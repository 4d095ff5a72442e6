"""`asyncwasm validate`: check that modules and components are well-formed and valid."""

from __future__ import annotations

import argparse

from asyncwasm import Engine

from ._code import validate_code
from ._failure import Failure, blame, report
from ._files import display_name, read_bytes
from ._options import add_wasm_option, make_config


def make_parser(prog: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Check that modules and components, in the binary or the text format, are "
        "well-formed and valid.  Nothing is said about those that are; every other one gets a line "
        "on standard error, and the exit status is 1.",
    )
    parser.add_argument(
        "files", metavar="FILE", nargs="+", help="a module or component; - for standard input"
    )
    add_wasm_option(parser)
    return parser


def run(args: argparse.Namespace) -> int:
    engine = Engine(make_config(args))
    status = 0
    for file in args.files:
        try:
            data = read_bytes(file)
            with blame(display_name(file)):
                validate_code(engine, data)
        except Failure as failure:
            report(failure)
            status = 1
    return status
