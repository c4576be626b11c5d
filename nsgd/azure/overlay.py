"""Native entries that add to a resource of Azure's JSON what Azure does not know, such as links."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nsgd.azure.context import Context
from nsgd.azure.fields import fold
from nsgd.azure.findings import shown
from nsgd.azure.origins import Entries, Leaf, Piece, Written

# An entry without this key is no declaration of its own.
_DECLARES = "subnet"
_MAY_ADD: Mapping[str, tuple[str, ...]] = {
    "networkInterfaces": ("link", "privateIPAddresses", "created"),
    "scaleSets": ("privateIPAddressPrefixes", "created"),
}


def lay_over(
    tree: Mapping[str, object],
    document: int,
    pieces: Mapping[str, Mapping[str, Piece]],
    context: Context,
) -> tuple[dict[str, object], dict[str, Entries]] | None:
    """Move what a native document adds to resources of others into these.

    Args:
        tree: The native document.
        document: Its number.
        pieces: What it may add to: of each section the pieces by name, folded.
        context: Is told what need not be chosen any more.

    Returns:
        The document without those entries and where the rest of each changed section stands, or
        None where it adds to nothing.

    Source:
        docs/azure-reference.md, choice 15: a native overlay may fix addresses and bind links.
    """
    changed: dict[str, object] = {}
    sections: dict[str, Entries] = {}
    for section, may_add in _MAY_ADD.items():
        entries = tree.get(section)
        if not isinstance(entries, list):
            continue
        by_name = pieces.get(section, {})
        kept: list[object] = []
        places: list[Leaf] = []
        for index, entry in enumerate(entries):
            at = Written(document, (section, index))
            piece = _overlaid(entry, by_name)
            if piece is None:
                kept.append(entry)
                places.append(Leaf(at))
            else:
                assert isinstance(entry, dict)
                _add(entry, at, piece, may_add, context)
        if len(kept) != len(entries):
            changed[section] = kept
            sections[section] = Entries(Written(document, (section,)), places)
    return ({**tree, **changed}, sections) if changed else None


def _overlaid(entry: object, by_name: Mapping[str, Piece]) -> Piece | None:
    if not isinstance(entry, dict) or entry.get(_DECLARES):
        return None
    name = entry.get("name")
    return by_name.get(fold(name)) if isinstance(name, str) else None


def _add(
    entry: Mapping[str, object],
    at: Written,
    piece: Piece,
    may_add: Sequence[str],
    context: Context,
) -> None:
    before = context.overlaid.setdefault(id(piece), at)
    if before is not at:
        context.findings.refuse(
            at,
            f"what Azure's {shown(piece.value['name'])} lacks is added already by",
            "write one entry with all of it",
            before,
        )
        return
    for key, value in entry.items():
        if key == "name" or value in (None, "", []):
            continue
        if key not in may_add:
            context.findings.refuse(
                at.at(key),
                f"{shown(key)} is for the Azure resource of this name to say",
                f"only {', '.join(may_add)} may be added here",
            )
            continue
        piece.put(key, value, at.at(key))
        if key in ("privateIPAddresses", "privateIPAddressPrefixes"):
            context.addressed.add(id(piece))
