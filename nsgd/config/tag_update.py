"""Judges a new service tags file beside the one that was good until now.

A file may be Microsoft's and whole and still do harm: an older one brings back prefixes that were
given up, a short one takes prefixes away from rules, a wide one opens what they deny.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from nsgd.config.names import fold
from nsgd.config.tag_catalogue import TagCatalogue
from nsgd.config.tag_growth import SHORTEST_PREFIX, growth, short_prefixes
from nsgd.config.wording import show

# What is left of an update, at least: of all tags and prefixes, and of a tag that rules name.
_LEAST_PERCENT_OF_ALL = 70
_LEAST_PERCENT_OF_TAG = 30
# And what it may have more: of all prefixes, and of the number. The file after a number that was
# too high would need --force, and so would each that follows.
_MOST_TIMES_OF_ALL = 4
_MOST_NUMBERS_AHEAD = 1000
_SHOWN_TAGS = 5


@dataclass(frozen=True, slots=True)
class UpdateProblem:
    """Why a file should not take another's place; *can_be_forced* where a person may decide it."""

    message: str
    way_out: str
    can_be_forced: bool = False

    def __str__(self) -> str:
        return f"{self.message}; {self.way_out}"


@dataclass(frozen=True, slots=True)
class UpdateDifference:
    """What an update changes, for whoever reads of it; names in the spelling of their file."""

    gone: tuple[str, ...]
    new: tuple[str, ...]


def check_update(
    new: TagCatalogue, old: TagCatalogue | None, in_use: Collection[str] = ()
) -> tuple[UpdateProblem, ...]:
    """Every reason why *new* should not take the place of *old*.

    Args:
        new: Read from other bytes than *old*: the same file again is no update.
        old: The last good catalogue; None where there is none.
        in_use: Tags that the policy in force names.
    """
    if old is None:
        return (*_check_short_prefixes(new, None), *_check_tags_in_use(new, None, in_use))
    if fold(new.cloud) != fold(old.cloud):
        return (
            UpdateProblem(
                f"the file is of the cloud {new.cloud}, and the one before of {old.cloud}",
                f"download the file of {old.cloud}",
            ),
        )
    problems = []
    if new.change_number <= old.change_number:
        same = new.change_number == old.change_number
        problems.append(
            UpdateProblem(
                f"its changeNumber is {new.change_number}, and the installed file has "
                + ("the same with other contents" if same else f"{old.change_number} already"),
                "download the newest file, or use --force where this one is meant",
                can_be_forced=True,
            )
        )
    elif new.change_number > old.change_number + _MOST_NUMBERS_AHEAD:
        problems.append(
            UpdateProblem(
                f"its changeNumber is {new.change_number}, and the installed file has "
                f"{old.change_number}: more than {_MOST_NUMBERS_AHEAD} ahead",
                "download it again; if Microsoft has come so far, use --force",
                can_be_forced=True,
            )
        )
    for number_new, number_old, what in (
        (new.prefix_count, old.prefix_count, "prefixes"),
        (len(new.names()), len(old.names()), "service tags"),
    ):
        if number_new * 100 < number_old * _LEAST_PERCENT_OF_ALL:
            problems.append(
                UpdateProblem(
                    f"it has {number_new} {what}, and the installed file {number_old}: fewer than "
                    f"{_LEAST_PERCENT_OF_ALL} % are left",
                    "download it again; if Microsoft's file is that short, use --force",
                    can_be_forced=True,
                )
            )
    if new.prefix_count > old.prefix_count * _MOST_TIMES_OF_ALL:
        problems.append(
            UpdateProblem(
                f"it has {new.prefix_count} prefixes, and the installed file {old.prefix_count}: "
                f"more than {_MOST_TIMES_OF_ALL} times as many",
                "compare the two files; if Microsoft means it, use --force",
                can_be_forced=True,
            )
        )
    return (
        *problems,
        *_check_short_prefixes(new, old),
        *_check_tags_in_use(new, old, in_use),
    )


def _check_short_prefixes(new: TagCatalogue, old: TagCatalogue | None) -> list[UpdateProblem]:
    short = [f"{prefix} in {name}" for name, prefix in short_prefixes(new, old)]
    if not short:
        return []
    return [
        UpdateProblem(
            f"it has prefixes shorter than {SHORTEST_PREFIX[4]} bits (IPv4) or "
            f"{SHORTEST_PREFIX[6]} (IPv6): {name_some(short)}",
            "download it again; if Microsoft means it, use --force",
            can_be_forced=True,
        )
    ]


def _check_tags_in_use(
    new: TagCatalogue, old: TagCatalogue | None, in_use: Collection[str]
) -> list[UpdateProblem]:
    problems = []
    for name in sorted(in_use):
        found = new.find(name)
        before = None if old is None else old.find(name)
        if found is None:
            problems.append(
                UpdateProblem(
                    f"rules in force name the service tag {show(name)}, which it does not have",
                    "change those rules, reload, and update then",
                )
            )
        elif old is not None and before is not None:
            left, had = new.count(found), old.count(before)
            if left * 100 < had * _LEAST_PERCENT_OF_TAG:
                problems.append(
                    UpdateProblem(
                        f"the service tag {show(found)}, which rules in force name, has {left} "
                        f"prefixes, and {had} in the installed file: fewer than "
                        f"{_LEAST_PERCENT_OF_TAG} % are left",
                        "compare the two files; if Microsoft means it, use --force",
                        can_be_forced=True,
                    )
                )
            problems += [
                UpdateProblem(
                    f"the service tag {show(found)}, which rules in force name, has {now} IPv"
                    f"{version} addresses, and {had_before} in the installed file: over tenfold",
                    "compare the two files; if Microsoft means it, use --force",
                    can_be_forced=True,
                )
                for version, now, had_before in growth(new.prefixes(found), old.prefixes(before))
            ]
    return problems


def difference(new: TagCatalogue, old: TagCatalogue) -> UpdateDifference:
    """The tags that one catalogue has and the other has not."""
    return UpdateDifference(
        gone=tuple(name for name in old.names() if new.find(name) is None),
        new=tuple(name for name in new.names() if old.find(name) is None),
    )


def name_some(names: Collection[str]) -> str:
    """The first few names, and how many more there are."""
    shown = ", ".join(list(names)[:_SHOWN_TAGS])
    more = len(names) - _SHOWN_TAGS
    return f"{shown} and {more} more" if more > 0 else shown
