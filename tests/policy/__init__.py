"""Tests of nsgd.policy."""
