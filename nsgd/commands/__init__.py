"""The verbs of the command ``nsgd``: options, what is printed, exit code."""
