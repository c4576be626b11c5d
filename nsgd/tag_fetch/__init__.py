"""Fetches Microsoft's service tags file, by a user of its own, and installs it for the daemon."""
