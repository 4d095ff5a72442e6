"""The instruction set: one row for each instruction, one pure function for each numeric one.

Everything that deals in instructions reads this; it reads nothing but types.
"""
