#!/bin/sh
# Isolated: neither the caller's PYTHONPATH nor its directory decides what is imported.
exec /usr/lib/nsgd/bin/python3 -I -m nsgd "$@"
