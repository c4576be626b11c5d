"""The difference of two policies, for people and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from nsgd.analysis.changes import (
    Change,
    PolicyDifference,
    Site,
    SiteDifference,
    Verdict,
)
from nsgd.analysis.flow_text import (
    box_as_json,
    box_text,
    decision_as_json,
    decision_text,
    packet_as_json,
    packet_text,
)
from nsgd.analysis.labels import AddressLabels
from nsgd.analysis.policy import AnalysedPolicy, Subject
from nsgd.answers.text import aligned
from nsgd.policy.address_set import AddressSet

_MOST_SITES = 4
_HEADS = ("Protocol", "Source", "Ports", "Destination", "Ports")


def difference_as_text(
    difference: PolicyDifference, old: AnalysedPolicy, new: AnalysedPolicy, most_boxes: int
) -> str:
    """What changes, by site and direction; empty where nothing does.

    Args:
        difference: Of *old* and *new*.
        old: The policy before.
        new: The policy after.
        most_boxes: So many boxes of one change are shown.
    """
    return "\n".join(_lines(difference, old, new, most_boxes))


def _lines(
    difference: PolicyDifference, old: AnalysedPolicy, new: AnalysedPolicy, most_boxes: int
) -> Iterator[str]:
    for subjects, side in ((difference.only_before, "OLD"), (difference.only_after, "NEW")):
        for subject in subjects:
            yield f"{subject}: has addresses that only {side} declares"
    for each in difference.differences:
        yield f"{_sites_text(each.sites)}, {each.direction.value}, IPv{each.version}:"
        site = each.sites[0]
        own = {"their addresses" if len(each.sites) > 1 else "its addresses": each.addresses}
        labels = AddressLabels(each.version, _names(site, old, new), own)
        for change in each.changes:
            before = _verdict_text(change.before, site.before)
            yield f"  {before} -> {_verdict_text(change.after, site.after)}"
            shown = change.boxes[:most_boxes]
            rows = [box_text(each.version, box, labels) for box in shown]
            yield from (f"    {line}" for line in aligned(_HEADS, rows, {1, 3}).splitlines())
            more = len(change.boxes) - len(shown)
            if more or change.is_cut:
                least = "at least " if change.is_cut else ""
                yield f"    and {least}{more} more such boxes"
            yield f"    such as {packet_text(change.witness)}"
    for unknown in difference.undetermined:
        yield (
            f"{_sites_text(unknown.sites)}, {unknown.direction.value}, IPv{unknown.version}:"
            " undetermined: too many cases to compare within --budget"
        )


def difference_as_json(difference: PolicyDifference) -> dict[str, Any]:
    """The same in full, with every prefix; the form stays as it is, apart from new keys."""
    return {
        "isEqual": difference.is_equal,
        "onlyInOld": [_subject_as_json(subject) for subject in difference.only_before],
        "onlyInNew": [_subject_as_json(subject) for subject in difference.only_after],
        "differences": [_difference_as_json(each) for each in difference.differences],
        "undetermined": [
            {
                "sites": [_site_as_json(site) for site in each.sites],
                "direction": each.direction.value,
                "ipVersion": each.version,
            }
            for each in difference.undetermined
        ],
    }


def _difference_as_json(difference: SiteDifference) -> dict[str, Any]:
    return {
        "sites": [_site_as_json(site) for site in difference.sites],
        "direction": difference.direction.value,
        "ipVersion": difference.version,
        "changes": [_change_as_json(change, difference) for change in difference.changes],
    }


def _change_as_json(change: Change, of: SiteDifference) -> dict[str, Any]:
    return {
        "old": _verdict_as_json(change.before),
        "new": _verdict_as_json(change.after),
        "boxes": [box_as_json(of.version, box) for box in change.boxes],
        "hasMoreBoxes": change.is_cut,
        "witness": packet_as_json(change.witness),
    }


def _verdict_as_json(verdict: Verdict) -> dict[str, Any]:
    return {"access": verdict.access.value, **decision_as_json(verdict.decision)}


def _verdict_text(verdict: Verdict, subject: Subject | None) -> str:
    if subject is None:
        return "not declared"
    return f"{verdict.access.value} by {decision_text(verdict.decision)}"


def _subject_as_json(subject: Subject) -> dict[str, str]:
    return {"kind": subject.kind.value, "name": subject.name}


def _site_as_json(site: Site) -> dict[str, Any]:
    return {
        "old": None if site.before is None else _subject_as_json(site.before),
        "new": None if site.after is None else _subject_as_json(site.after),
    }


def _sites_text(sites: Sequence[Site]) -> str:
    texts = [_site_text(site) for site in sites[:_MOST_SITES]]
    more = len(sites) - len(texts)
    return f"{', '.join(texts)} and {more} more" if more else ", ".join(texts)


def _site_text(site: Site) -> str:
    before, after = site.before, site.after
    if before is None or after is None:
        return f"{site.subject} (only in {'NEW' if before is None else 'OLD'})"
    if (before.kind, before.name.lower()) == (after.kind, after.name.lower()):
        return str(after)
    return f"{after} (in OLD {before})"


def _names(site: Site, old: AnalysedPolicy, new: AnalysedPolicy) -> dict[str, AddressSet]:
    """Names of sets as NEW sees them; where OLD has others of a name, those say so."""
    found = {} if site.after is None else dict(new.names(site.after))
    if site.before is not None:
        for name, addresses in old.names(site.before).items():
            known = found.setdefault(name, addresses)
            if known != addresses:
                found[f"{name} (in OLD)"] = addresses
    return found
