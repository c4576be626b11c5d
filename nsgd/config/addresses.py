"""One text to one address, prefix or rule address; no text is ever taken for something wider."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from nsgd.config.problem import Refusal
from nsgd.config.wording import show
from nsgd.model.address import Address, Prefix
from nsgd.model.rule import AnyAddress, PlatformService, PlatformTag, ServiceTag, TagAddress


@dataclass(frozen=True, slots=True)
class UnresolvedTag:
    """Text that only a catalogue of service tags can make something of."""

    text: str


RuleEntry = AnyAddress | TagAddress | PlatformTag | UnresolvedTag | Prefix

_ANY = AnyAddress()
# The tags that no catalogue decides, even if one had entries of these names.
_TAGS: dict[str, TagAddress | PlatformTag] = {
    **{tag.value.lower(): TagAddress(tag) for tag in ServiceTag},
    **{service.value.lower(): PlatformTag(service) for service in PlatformService},
}
BUILT_IN_TAGS = tuple(tag.value for tag in (*ServiceTag, *PlatformService))
# The names of a catalogue that cannot be an address in any notation.
_TAG_LIKE = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,127}")
_ALL = frozenset(("any", "all"))
INVALID_PREFIX = "SecurityRuleInvalidAddressPrefix"
_EXAMPLE = "10.0.1.0/24 or 2001:db8::/32"


def parse_address(value: object) -> Address:
    """Read one address. Raises Refusal."""
    if not isinstance(value, str):
        raise Refusal(f"{show(value)} is not an address", "write an address such as 10.0.1.4")
    try:
        return Address.parse(value)
    except ValueError:
        if "/" in value:
            way_out = "write the address without a prefix length"
        else:
            way_out = "write an address such as 10.0.1.4 or fd00::4"
        raise Refusal(f"{show(value)} is not an address", way_out) from None


def parse_prefix(value: object) -> Prefix:
    """Read a CIDR block, or one address as a block of its own. Raises Refusal."""
    if not isinstance(value, str):
        raise Refusal(f"{show(value)} is not a prefix", f"write a prefix such as {_EXAMPLE}")
    return _parse_prefix(value)


def parse_rule_address(value: object) -> RuleEntry:
    """Read one entry of a rule's source or destination. Raises Refusal with Azure's code.

    ``0.0.0.0/0`` is the IPv4 prefix: ``*`` alone means both families. What may be a tag of
    Microsoft's file is an UnresolvedTag: the same text stands for a tag in one cloud and for
    none in another.
    """
    if not isinstance(value, str):
        raise Refusal(
            f"{INVALID_PREFIX}: {show(value)} is not text",
            f"write '*', a service tag, or a prefix such as {_EXAMPLE}",
        )
    return _parse_rule_text(value)


def _parse_rule_text(text: str) -> RuleEntry:
    if text == "*":
        return _ANY
    if not text[:1].isdecimal():
        # Only ASCII: lower() makes a k of the Kelvin sign.
        tag = _TAGS.get(text.lower()) if text.isascii() else None
        if tag is not None:
            return tag
    try:
        return Prefix.parse(text)
    except ValueError:
        if _TAG_LIKE.fullmatch(text) and text.lower() not in _ALL:
            return UnresolvedTag(text)
        raise _refuse_rule_text(text) from None


def _refuse_rule_text(text: str) -> Refusal:
    if text.lower() in _ALL:
        return Refusal(f"{INVALID_PREFIX}: {show(text)} is not an address prefix", "write '*'")
    refusal = _refuse_prefix(text)
    return Refusal(f"{INVALID_PREFIX}: {refusal.message}", refusal.way_out)


def _parse_prefix(text: str) -> Prefix:
    try:
        return Prefix.parse(text)
    except ValueError:
        raise _refuse_prefix(text) from None


def _refuse_prefix(text: str) -> Refusal:
    message = f"{show(text)} is not a prefix"
    if "," in text or ";" in text:
        return Refusal(f"{message}, but looks like several", "write them as a list, in the plural")
    if text != text.strip():
        return Refusal(f"{message}: it has blanks around it", f"write {show(text.strip())}")
    if text in ("*", "any", "all", "Any"):
        return Refusal(message, "write 0.0.0.0/0 or ::/0")
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        if "-" in text:
            return Refusal(f"{show(text)} is a range, not a prefix", "write it as prefixes")
        return Refusal(message, f"write a prefix such as {_EXAMPLE}")
    if "%" in text:
        return Refusal(f"{message}: it has a zone id", f"write {str(network).split('%')[0]}")
    if text.rpartition("/")[2].isdigit():
        return Refusal(f"{show(text)} has host bits set", f"write {network}")
    return Refusal(f"{show(text)} has a mask, not a prefix length", f"write {network}")
