"""Real files, by descriptors and calls relative to them.

Importable only where `fcntl` is; whether the platform has all the calls is checked before.
"""
