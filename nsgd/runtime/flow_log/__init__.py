"""The flow log: a process that follows open flows and writes them down, and who looks after it."""
