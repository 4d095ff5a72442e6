"""The Component Model: components compiled, linked, instantiated and called."""
