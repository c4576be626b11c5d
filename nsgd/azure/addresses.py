"""Addresses that Azure's JSON leaves open: dynamic ones, and those of scale sets' instances."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from nsgd.azure.context import Context, DynamicAddress, OpenScaleSet
from nsgd.azure.fields import fold
from nsgd.azure.origins import Piece
from nsgd.model.address import Address, Prefix
from nsgd.model.reserved import LONGEST_WITH_RESERVED, RESERVED_FIRST

Tree = Mapping[str, object]

# Where no address can be given for want of the subnet, which is reported by its name: in no
# subnet, so that it can never be taken for an address.
_NOWHERE = "0.0.0.0"  # noqa: S104 (nothing listens here)


class _Networks:
    """The subnets and the addresses that native documents give, as far as they can be read."""

    def __init__(self, trees: Sequence[Tree]) -> None:
        self.subnets: dict[tuple[str, str], list[Prefix]] = {}
        self._networks_of: dict[str, list[str]] = {}
        for network in _objects(trees, "virtualNetworks"):
            for subnet in _objects([network], "subnets"):
                key = (_name(network), _name(subnet))
                texts = [subnet.get("addressPrefix"), *_list(subnet.get("addressPrefixes"))]
                self.subnets[key] = [p for text in texts for p in _prefixes(text)]
                self._networks_of.setdefault(key[1], []).append(key[0])
        self.taken: dict[str, set[Address]] = {}
        for interface in _objects(trees, "networkInterfaces"):
            place = self.place(interface.get("subnet"))
            self.taken.setdefault(place[0], set()).update(
                address
                for text in _list(interface.get("privateIPAddresses"))
                for address in _addresses(text)
            )
        # Instances may have any of these.
        self.scale_sets: dict[str, list[Prefix]] = {}
        for scale_set in _objects(trees, "scaleSets"):
            place = self.place(scale_set.get("subnet"))
            self.scale_sets.setdefault(place[0], []).extend(
                prefix
                for text in _list(scale_set.get("privateIPAddressPrefixes"))
                for prefix in _prefixes(text)
            )

    def place(self, reference: object) -> tuple[str, str]:
        """The network and the subnet that ``network/subnet`` or ``subnet`` means."""
        if not isinstance(reference, str):
            return "", ""
        network, _, subnet = fold(reference).rpartition("/")
        if not network:
            network = next(iter(self._networks_of.get(subnet, [])), "")
        return network, subnet


def settle_addresses(context: Context, trees: Sequence[Tree]) -> list[Piece]:
    """Give every dynamic address a value, and every open scale set its prefixes.

    Args:
        context: What waits for this.
        trees: All native documents, those included that the waiting pieces are in.

    Returns:
        Interfaces for which there is no address, which has been reported, and scale sets that have
        become one with another.

    Source:
        docs/azure-reference.md, choice 15: the first free addresses of the subnet, in document
        order, from the fourth on.
    """
    without: list[Piece] = []
    waiting = [d for d in context.dynamic if id(d.interface) not in context.addressed]
    if waiting:
        networks = _Networks(trees)
        free: dict[tuple[str, str, int], Iterator[Address]] = {}
        without += [
            dynamic.interface
            for dynamic in waiting
            if not _choose(dynamic, networks, free, context)
        ]
    still_open = [o for o in context.open_scale_sets if id(o.scale_set) not in context.addressed]
    if still_open:
        without += _open_scale_sets(still_open, context, trees)
    return without


def _choose(
    dynamic: DynamicAddress,
    networks: _Networks,
    free: dict[tuple[str, str, int], Iterator[Address]],
    context: Context,
) -> bool:
    network, subnet = networks.place(dynamic.interface.value.get("subnet"))
    addresses = dynamic.interface.value["privateIPAddresses"]
    prefixes = networks.subnets.get((network, subnet))
    if prefixes is None:
        addresses[dynamic.position] = _NOWHERE
        return True
    key = (network, subnet, dynamic.version)
    if key not in free:
        free[key] = _free_addresses(prefixes, dynamic.version, network, networks)
    chosen = next(free[key], None)
    if chosen is None:
        context.findings.refuse(
            dynamic.at,
            f"subnet {subnet} of virtual network {network} has no free IPv{dynamic.version}"
            " address left",
            "write privateIPAddress, or widen the subnet",
        )
        return False
    addresses[dynamic.position] = str(chosen)
    return True


def _free_addresses(
    prefixes: Sequence[Prefix], version: int, network: str, networks: _Networks
) -> Iterator[Address]:
    taken = networks.taken.get(network, set())
    instances = [p for p in networks.scale_sets.get(network, ()) if p.version == version]
    for prefix in prefixes:
        if prefix.version != version:
            continue
        has_reserved = version == 6 or prefix.length <= LONGEST_WITH_RESERVED
        value = prefix.first + (RESERVED_FIRST if has_reserved else 0)
        last = prefix.last - (1 if has_reserved else 0)
        while value <= last:
            address = Address(prefix.version, value)
            instance = next((p for p in instances if p.contains(address)), None)
            if instance is None and address not in taken:
                yield address
            # A prefix of instances may be as wide as a /64.
            value = value + 1 if instance is None else instance.last + 1


def _open_scale_sets(
    still_open: Sequence[OpenScaleSet], context: Context, trees: Sequence[Tree]
) -> list[Piece]:
    """Give each open scale set the prefixes of its subnet; returns those left out."""
    networks = _Networks(trees)
    in_subnet: dict[tuple[str, str], int] = {}
    for scale_set in _objects(trees, "scaleSets"):
        place = networks.place(scale_set.get("subnet"))
        in_subnet[place] = in_subnet.get(place, 0) + 1
    open_in: dict[tuple[str, str], list[Piece]] = {}
    for piece, _ in still_open:
        open_in.setdefault(networks.place(piece.value.get("subnet")), []).append(piece)
    kinds = {place: len({*map(_judged_by, pieces)}) for place, pieces in open_in.items()}
    left_out: list[Piece] = []
    for piece, at in still_open:
        place = networks.place(piece.value.get("subnet"))
        same_place = open_in[place]
        prefixes = networks.subnets.get(place)
        key = "privateIPAddressPrefixes"
        piece.put(key, [str(prefix) for prefix in prefixes or ()] or [_NOWHERE], at)
        if prefixes is None:
            continue
        name = piece.value["name"]
        are_alike = in_subnet[place] == len(same_place) and kinds[place] == 1
        if are_alike and piece is not same_place[0]:
            left_out.append(piece)
            first = same_place[0].value["name"]
            context.findings.note(
                at, f"instances of {name} are judged as those of {first}, and told by its name"
            )
        elif in_subnet[place] > 1 and not are_alike:
            context.findings.refuse(
                at,
                f"several scale sets are in subnet {place[1]}, and Azure's JSON does not say which"
                " addresses are whose",
                f"say it in a native document: scaleSets: [{{name: {name}, {key}: [...]}}]",
            )
        else:
            context.findings.note(
                at,
                f"every address of subnet {place[1]} that no network interface has is taken for"
                f" an instance of {name}",
            )
    return left_out


def _judged_by(scale_set: Piece) -> tuple[object, ...]:
    """What decides about an instance, apart from its address."""
    groups = scale_set.value.get("applicationSecurityGroups") or ()
    return (
        fold(scale_set.value.get("networkSecurityGroup") or ""),
        tuple(sorted(map(fold, groups))),
        scale_set.value.get("created"),
    )


def _objects(trees: Sequence[Tree], key: str) -> Iterator[Mapping[str, object]]:
    for tree in trees:
        for entry in _list(tree.get(key)):
            if isinstance(entry, dict):
                yield entry


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _name(entry: Mapping[str, object]) -> str:
    name = entry.get("name")
    return fold(name) if isinstance(name, str) else ""


def _prefixes(text: object) -> Iterator[Prefix]:
    if isinstance(text, str):
        try:
            yield Prefix.parse(text)
        except ValueError:
            return  # whoever reads the document reports it


def _addresses(text: object) -> Iterator[Address]:
    if isinstance(text, str):
        try:
            yield Address.parse(text)
        except ValueError:
            return
