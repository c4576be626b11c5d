"""What the small HTTP servers have in common: bounds that no client gets past."""
