"""Bytes to and from values, for what the kernel hands over and takes."""
