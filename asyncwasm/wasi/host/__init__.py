"""Host capabilities, independent of the WASI version.

Each area has a real implementation and a public fake with the same interface.  What blocks here
blocks its thread: the adapters above decide where it runs.
"""
