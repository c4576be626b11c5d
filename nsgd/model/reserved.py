"""The addresses of a subnet that Azure keeps for itself.

Source:
    Azure, Virtual network FAQ: "Azure reserves the first four addresses and the last address, for a
    total of five IP addresses within each subnet." Its smallest IPv4 subnet is a /29; in the longer
    prefixes that labs use no address is reserved.
"""

from __future__ import annotations

RESERVED_FIRST = 4
LONGEST_WITH_RESERVED = 29
