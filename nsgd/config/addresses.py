"""One text to one address, prefix or rule address; no text is ever taken for something wider."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache

from nsgd.config.problem import Refusal, show
from nsgd.config.shape import closest
from nsgd.model.address import Address, Prefix
from nsgd.model.rule import AnyAddress, ServiceTag, TagAddress

RuleEntry = AnyAddress | TagAddress | Prefix

# A document repeats few prefixes many times; each is parsed once. Refusals are not kept.
_CACHED_TEXTS = 4096

_ANY = AnyAddress()
_TAGS = {tag.value.lower(): TagAddress(tag) for tag in ServiceTag}
_TAG_NAMES = tuple(tag.value for tag in ServiceTag)
# The classic deployment model's spellings; INTERNET differs in case only.
_CLASSIC_TAGS = {
    "virtual_network": ServiceTag.VIRTUAL_NETWORK.value,
    "azure_loadbalancer": ServiceTag.AZURE_LOAD_BALANCER.value,
}
_TAG_LIKE = re.compile(r"[A-Za-z][A-Za-z0-9_]*(?:\.[A-Za-z0-9_]+)*")
_CODE = "SecurityRuleInvalidAddressPrefix"
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

    ``0.0.0.0/0`` is the IPv4 prefix: ``*`` alone means both families.
    """
    if not isinstance(value, str):
        raise Refusal(
            f"{_CODE}: {show(value)} is not text",
            f"write '*', a service tag, or a prefix such as {_EXAMPLE}",
        )
    if value == "*":
        return _ANY
    # Only ASCII: lower() makes a k of the Kelvin sign.
    tag = _TAGS.get(value.lower()) if value.isascii() else None
    if tag is not None:
        return tag
    if value.lower() in ("any", "all"):
        raise Refusal(f"{_CODE}: {show(value)} is not an address prefix", "write '*'")
    if _TAG_LIKE.fullmatch(value):
        raise _unknown_tag(value)
    try:
        return _parse_prefix(value)
    except Refusal as refusal:
        raise Refusal(f"{_CODE}: {refusal.message}", refusal.way_out) from None


def _unknown_tag(value: str) -> Refusal:
    meant = _CLASSIC_TAGS.get(value.lower()) or closest(value, _TAG_NAMES)
    known = f"use one of {', '.join(_TAG_NAMES)}, or list the prefixes"
    return Refusal(
        f"{_CODE}: service tag {show(value)} is not supported yet",
        f"did you mean {meant}? Otherwise {known}" if meant else known,
    )


@lru_cache(_CACHED_TEXTS)
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
