"""From a network model to the desired nftables ruleset, as netlink messages and as text. Pure."""
