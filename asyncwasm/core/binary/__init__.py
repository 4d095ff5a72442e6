"""The binary format: what turns a module's bytes into a `ModuleInfo`, and reads instructions.

Raises `MalformedError` for bytes that follow no grammar, `ValidationError` only where a type
has to be valid to be read, and `ResourceLimitError` for what is larger than `limits.py` says.
"""
