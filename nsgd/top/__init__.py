"""The live view of a running daemon, ``nsgd top``: what it shows, apart from how and where."""
