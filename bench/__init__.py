"""Benchmarks: kernels, engines to compare, and what each layer costs."""
