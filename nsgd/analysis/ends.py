"""What may stand at one end of flows: resources, subnets, networks, groups, tags, prefixes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from nsgd.analysis.policy import AnalysedPolicy, side_text
from nsgd.answers.refused import QuestionRefused
from nsgd.answers.resources import Kind
from nsgd.config.names import fold
from nsgd.config.wording import closest, show
from nsgd.model.address import Address, Prefix
from nsgd.model.rule import GroupMembers, PublishedTag, RuleAddress, ServiceTag, TagAddress
from nsgd.policy.address_set import ALL_ADDRESSES, AddressSet
from nsgd.policy.views import View

# A tag of Microsoft's file by its name: in the file's spelling, and its addresses.
Published = Callable[[str], tuple[str, AddressSet] | None]


# Rules by these tags also match the addresses of Azure's platform, which is neither the Internet
# nor a neighbour to those who ask who reaches whom.
_WITHOUT_PLATFORM = (TagAddress(ServiceTag.INTERNET), TagAddress(ServiceTag.VIRTUAL_NETWORK))


class EndKind(Enum):
    """What an end is; the value goes before a name that stands for several things."""

    NETWORK_INTERFACE = "nic"
    SCALE_SET = "scaleSet"
    SUBNET = "subnet"
    VIRTUAL_NETWORK = "vnet"
    GROUP = "asg"
    TAG = "tag"
    ADDRESSES = "prefix"


@dataclass(frozen=True, slots=True, eq=False)
class End:
    """One end: resources whatever their addresses, or else addresses whoever has them.

    Attributes:
        kind: What it is.
        name: As the documents have it.
        endpoints: The resources, by their indexes; None of addresses.
        addresses: By view of a virtual network, what a tag is there; all views of prefixes have
            the same. A resource that looks at the end decides which view counts.
    """

    kind: EndKind
    name: str
    endpoints: frozenset[int] | None = None
    addresses: Mapping[View, AddressSet] | None = None

    def __str__(self) -> str:
        words = {
            EndKind.NETWORK_INTERFACE: "network interface ",
            EndKind.SCALE_SET: "scale set ",
            EndKind.SUBNET: "subnet ",
            EndKind.VIRTUAL_NETWORK: "virtual network ",
            EndKind.GROUP: "application security group ",
        }
        return f"{words.get(self.kind, '')}{self.name}"


class Ends:
    """Finds the ends that a policy has, by their names."""

    def __init__(self, policy: AnalysedPolicy, published: Published = lambda _: None) -> None:
        self._policy = policy
        self._published = published
        self._views = list(dict.fromkeys(policy.compiled.views.of_subnet.values()))
        self._known: dict[tuple[EndKind, str], Callable[[], End]] = {}
        self._made: dict[tuple[EndKind, str], End] = {}
        of_groups: dict[str, list[int]] = {}
        model = policy.model
        resources = [(each.name, each.application_security_groups) for each in model.scale_sets]
        resources += [
            (nic.name, nic.application_security_groups) for nic in model.network_interfaces
        ]
        first = len(policy.subjects) - len(resources)
        for number, (_, groups) in enumerate(resources, first):
            for group in groups:
                of_groups.setdefault(fold(group), []).append(number)
        of_network: dict[str, list[int]] = {}
        of_subnet: dict[tuple[str, str], list[int]] = {}
        kinds = {
            Kind.NETWORK_INTERFACE: EndKind.NETWORK_INTERFACE,
            Kind.SCALE_SET: EndKind.SCALE_SET,
        }
        for number, subject in enumerate(policy.subjects):
            of_network.setdefault(subject.virtual_network, []).append(number)
            of_subnet.setdefault((subject.virtual_network, subject.subnet), []).append(number)
            if subject.kind in kinds:
                self._declare(kinds[subject.kind], subject.name, [number])
        for network in model.virtual_networks:
            self._declare(EndKind.VIRTUAL_NETWORK, network.name, of_network.get(network.name, []))
            for subnet in network.subnets:
                name = f"{network.name}/{subnet.name}"
                self._declare(EndKind.SUBNET, name, of_subnet[network.name, subnet.name])
        for asg in model.application_security_groups:
            self._declare(EndKind.GROUP, asg.name, of_groups.get(fold(asg.name), []))
        for tag in ServiceTag:
            self._declare_tag(TagAddress(tag))
        for known in model.service_tags:
            self._declare_tag(PublishedTag(known.name))

    def _declare(self, kind: EndKind, name: str, endpoints: Iterable[int]) -> None:
        members = frozenset(endpoints)
        self._known[kind, fold(name)] = lambda: End(kind, name, members)

    def _declare_tag(self, tag: TagAddress | PublishedTag) -> None:
        name = side_text(tag)
        self._known[EndKind.TAG, fold(name)] = lambda: End(
            EndKind.TAG, name, addresses=self._resolved(tag)
        )

    def _resolved(self, side: RuleAddress) -> Mapping[View, AddressSet]:
        views = self._policy.compiled.views
        found = {view: views.resolver(view).addresses(side) for view in self._views}
        if side not in _WITHOUT_PLATFORM:
            return found
        platform = self._policy.model.platform
        theirs = AddressSet.of_addresses(
            (*platform.host, *platform.metadata, *platform.key_management)
        )
        return {view: addresses - theirs for view, addresses in found.items()}

    def _everywhere(self, addresses: AddressSet) -> Mapping[View, AddressSet]:
        return dict.fromkeys(self._views, addresses)

    def find(self, text: str) -> End:
        """The end of a name, which compares without case, or of a prefix, an address or ``*``.

        Raises:
            QuestionRefused: Nothing has the name, or several things have.
        """
        kinds = list(EndKind)
        before, mark, after = text.partition(":")
        wanted = next((kind for kind in kinds if fold(kind.value) == fold(before)), None)
        name = text
        if mark and wanted is not None:
            kinds, name = [wanted], after
        found = [end for kind in kinds if (end := self._of_kind(kind, name)) is not None]
        if not found and EndKind.SUBNET in kinds:
            found = [
                self._end(key)
                for key in self._known
                if key[0] is EndKind.SUBNET and key[1].rpartition("/")[2] == fold(name)
            ]
        if len(found) == 1:
            return found[0]
        if not found:
            meant = closest(name, tuple(name for _, name in self._known))
            way_out = (
                f"did you mean {meant}?"
                if meant
                else "name a network interface, scale set, NETWORK/SUBNET, virtual network,"
                " application security group, service tag or prefix, or '*'"
            )
            raise QuestionRefused(f"{show(name)} is no end of a flow; {way_out}")
        named = " and ".join(
            str(end) if not str(end).endswith(end.name) or " " in str(end) else f"tag {end}"
            for end in found
        )
        spelled = " or ".join(f"{end.kind.value}:{end.name}" for end in found)
        raise QuestionRefused(f"{show(name)} stands for {named}; write {spelled}")

    def _of_kind(self, kind: EndKind, name: str) -> End | None:
        if (kind, fold(name)) in self._known:
            return self._end((kind, fold(name)))
        if kind is EndKind.TAG and (published := self._published(name)) is not None:
            return self._keep(
                End(EndKind.TAG, published[0], addresses=self._everywhere(published[1]))
            )
        if kind is EndKind.ADDRESSES and (addresses := _addresses(name)) is not None:
            return self._keep(End(kind, name, addresses=self._everywhere(addresses)))
        return None

    def _end(self, key: tuple[EndKind, str]) -> End:
        found = self._made.get(key)
        return self._keep(self._known[key]()) if found is None else found

    def _keep(self, end: End) -> End:
        return self._made.setdefault((end.kind, fold(end.name)), end)

    # -- what is asked where nothing is named --------------------------------------------

    def resources(self) -> End:
        """All that is declared, whatever it is called."""
        return End(EndKind.VIRTUAL_NETWORK, "*", frozenset(range(len(self._policy.subjects))))

    def internet(self) -> End:
        """The tag Internet."""
        return self.find(f"{EndKind.TAG.value}:{ServiceTag.INTERNET.value}")

    def subnets(self) -> Iterator[End]:
        """Every subnet."""
        for key in self._known:
            if key[0] is EndKind.SUBNET:
                yield self._end(key)

    def named_by_rules(self) -> Iterator[End]:
        """The application security groups and tags that rules name, and the computed tags."""
        keys: dict[tuple[EndKind, str], None] = {}
        for group in self._policy.model.network_security_groups:
            for rule in group.security_rules:
                for side in (rule.source, rule.destination):
                    if isinstance(side, GroupMembers):
                        for name in side.application_security_groups:
                            keys[EndKind.GROUP, fold(name)] = None
                    elif isinstance(side, PublishedTag):
                        keys[EndKind.TAG, fold(side.name)] = None
        for published in self._policy.admin_tags():
            keys[EndKind.TAG, fold(published.name)] = None
        for tag in ServiceTag:
            keys[EndKind.TAG, fold(tag.value)] = None
        return map(self._end, keys)


def _addresses(text: str) -> AddressSet | None:
    if text == "*":
        return ALL_ADDRESSES
    try:
        if "/" in text:
            return AddressSet.of_prefix(Prefix.parse(text))
        return AddressSet.of_addresses([Address.parse(text)])
    except ValueError:
        return None
