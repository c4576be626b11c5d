"""Joins decisions with kernel objects: verdict path, supervisor, control socket."""
