"""Exact answers about whole policies, each with a packet that shows it."""
