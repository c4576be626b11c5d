"""Values that cannot be wrong: addresses, rules, networks, packets. Standard library only."""
