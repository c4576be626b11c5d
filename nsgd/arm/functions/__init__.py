"""The functions of Azure's template language that depend on their arguments alone."""
