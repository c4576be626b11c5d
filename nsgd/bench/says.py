"""What the command says beside its report, and above it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any


def say(message: str) -> None:
    """One line on standard error."""
    print(f"nsgd bench: {message}", file=sys.stderr)


def heading(context: Mapping[str, Any], numbers: str = "median (least..most)") -> str:
    """The machine, how long it took, and how to read the numbers.

    Args:
        context: What is the same for all contenders.
        numbers: What stands in a table's cells.
    """
    machine, plan = context["machine"], context["plan"]
    rounds = plan["repeat"]
    lines = [
        f"{machine['processors']} x {machine['cpu']}, Linux {machine['kernel']},"
        f" Python {machine['python']}",
        f"{rounds} round{'' if rounds == 1 else 's'} in {context['durationS']} s; {numbers}",
    ]
    if "rate" in plan:
        lines[-1] += f"; processor time at {plan['rate']:.0f} new flows/s"
        shares = {name: share for name, share in plan["rateShares"].items() if share != 1}
        if shares:
            texts = (f"{name} {share * plan['rate']:.0f}" for name, share in shares.items())
            lines.append(f"less for what could not keep up: {', '.join(texts)}")
    if "nics" in plan:
        lines.append(f"policies of {plan['nics']} NICs and 4 groups of {plan['rules']} rules")
    return "\n".join(lines)
