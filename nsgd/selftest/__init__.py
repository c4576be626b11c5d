"""Tries an installed nsgd with real packets, in network namespaces of its own."""
