"""From a network model to decisions: pure, and the same code for the worker and for questions."""
