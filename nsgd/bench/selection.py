"""The contenders by name, and those that words on the command line mean."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from nsgd.bench.contenders import PLAIN_CONTENDERS, Contender, linear_contender
from nsgd.bench.daemon_contender import ENGINES, daemon_contender
from nsgd.bench.policies import POLICIES, Size

KINDS = (*ENGINES, "linear")  # of contenders that have a policy, by the first part of their names


def policy_contender(kind: str, policy: str, size: Size) -> Contender:
    """The contender ``KIND-POLICY``."""
    if kind == "linear":
        return linear_contender(policy, size)
    return daemon_contender(kind, policy, size)


def all_contenders(size: Size) -> tuple[Contender, ...]:
    """Every contender, those with a policy at that size."""
    return PLAIN_CONTENDERS + tuple(
        policy_contender(kind, policy, size) for kind in KINDS for policy in POLICIES
    )


def with_several_queues(
    contenders: Iterable[Contender], size: Size, queues: Sequence[int]
) -> list[Contender]:
    """Behind each contender of the queue engine, the same with other numbers of workers."""
    several = {
        f"queue-{policy}": [daemon_contender("queue", policy, size, number) for number in queues]
        for policy in POLICIES
    }
    return [
        each for contender in contenders for each in (contender, *several.get(contender.name, ()))
    ]


def contender_names() -> list[str]:
    """The names of all contenders, which are the same at each size."""
    return [contender.name for contender in all_contenders(Size())]


def is_meant(name: str, words: Sequence[str]) -> bool:
    """Tell whether a word names a contender, by its whole name or its part up to a hyphen.

    No word at all means all.
    """
    return not words or any(name == word or name.startswith(f"{word}-") for word in words)
