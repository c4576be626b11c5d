"""Measures nsgd beside other ways to filter, in network namespaces of its own (docs/benchmarks.md)."""
