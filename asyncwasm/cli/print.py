"""`asyncwasm print`: from the binary format to the text format."""

from __future__ import annotations

import argparse

from asyncwasm.component.text import print_component
from asyncwasm.core.text.printer import print_module

from ._code import to_binary
from ._failure import blame
from ._files import display_name, read_bytes, write_bytes


def make_parser(prog: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Translate a module or component from the binary format into the text "
        "format.  Parsing the text again gives the same.  It is not validated: see `asyncwasm "
        "validate`.  What is in the text format is brought into the form of this command.",
    )
    parser.add_argument("input", metavar="IN", help="a module or component; - for standard input")
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
        binary, is_component = to_binary(data)
        text = (print_component if is_component else print_module)(binary, names=args.names)
    write_bytes(args.output, text.encode())
    return 0
