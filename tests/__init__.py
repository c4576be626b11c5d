"""Mirrors the tree of nsgd: one test module for each module."""
