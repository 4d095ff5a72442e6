"""`asyncwasm parse`: from the text format to the binary format."""

from __future__ import annotations

import argparse
import sys

from ._code import assemble_text
from ._failure import Failure, blame
from ._files import display_name, read_bytes, write_bytes


def make_parser(prog: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Translate a module or component from the text format into the binary "
        "format.  It is not validated: see `asyncwasm validate`.",
    )
    parser.add_argument("input", metavar="IN", help="a text file; - for standard input")
    parser.add_argument(
        "-o",
        "--output",
        metavar="OUT",
        default="-",
        help="where to write the binary (standard output, if that is not a terminal)",
    )
    return parser


def run(args: argparse.Namespace) -> int:
    text = read_bytes(args.input)
    with blame(display_name(args.input)):
        binary, _ = assemble_text(text)
    if args.output == "-" and sys.stdout.isatty():
        raise Failure("refusing to write a binary to a terminal: use -o, or -o - with a pipe")
    write_bytes(args.output, binary)
    return 0
