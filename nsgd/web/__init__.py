"""A read-only web page of a running daemon, in a process without privileges."""
