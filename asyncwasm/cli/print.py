"""`asyncwasm print`: from the binary format to the text format."""

from __future__ import annotations

import argparse

from asyncwasm.core.text import assemble
from asyncwasm.core.text.printer import print_module

from ._failure import blame
from ._files import display_name, read_bytes, write_bytes


def make_parser(prog: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Translate a module from the binary format into the text format.  Parsing "
        "the text again gives the same module.  The module is not validated: see `asyncwasm "
        "validate`.  A module in the text format is brought into the form of this command.",
    )
    parser.add_argument("input", metavar="IN", help="a module; - for standard input")
    parser.add_argument(
        "-o", "--output", metavar="OUT", default="-", help="where to write the text"
    )
    parser.add_argument(
        "--no-names",
        dest="names",
        action="store_false",
        help="call everything by its index, not by the names of the name section",
    )
    return parser


def run(args: argparse.Namespace) -> int:
    data = read_bytes(args.input)
    with blame(display_name(args.input)):
        binary = data if data[:1] == b"\0" or not data else assemble(data)
        text = print_module(binary, names=args.names)
    write_bytes(args.output, text.encode())
    return 0
