"""Engines for guest code, behind one protocol, and what they share.

Never heard of the text format, of limiters or of event loops.
"""
