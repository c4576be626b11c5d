"""What the daemon shows of itself: a snapshot as a value, as JSON, as text and as metrics."""
