"""What the supervisor needs of the kernel's table."""

from __future__ import annotations

from typing import Protocol

from nsgd.runtime.load import LoadedPolicy


class PolicyTable(Protocol):
    """Holds the rules of one policy."""

    def install(
        self, loaded: LoadedPolicy, *, adopting: bool = False, is_served: bool = True
    ) -> None:
        """Write the ruleset of a policy. Raises RefusedByKernel; the old one then stays.

        Args:
            loaded: The policy.
            adopting: Let mid-stream TCP pass and mark it.
            is_served: Somebody follows the routes of this host.
        """

    def remove(self) -> bool:
        """Delete the table. Returns False where there was none."""
