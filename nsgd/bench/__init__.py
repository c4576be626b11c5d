"""Measures nsgd beside other ways to filter; docs/benchmarks.md says how to read it."""
