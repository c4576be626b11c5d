"""Flow logs as Azure writes them, and as one record a line: values from and to text, no effects."""
