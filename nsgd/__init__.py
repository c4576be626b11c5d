"""nsgd enforces Azure network security groups on plain Linux."""

__version__ = "0.1.0.dev0"
