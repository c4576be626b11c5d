"""What this host offers, what is missing, and the way out."""
