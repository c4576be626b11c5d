"""Network namespace labs: real hosts, real packets, and what came of each of them."""
