"""Real packets through both engines, compared with the oracle and the evaluator in bulk."""
