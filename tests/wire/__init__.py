"""Tests of nsgd.wire."""
