"""Says which object a message of a batch is about, for an error."""

from __future__ import annotations

from nsgd.ruleset import commands
from nsgd.ruleset.objects import TABLE
from nsgd.wire import netlink

_OBJECTS = {
    commands.NEWTABLE: "table",
    commands.DELTABLE: "table",
    commands.NEWCHAIN: "chain",
    commands.DELCHAIN: "chain",
    commands.NEWRULE: "rule of chain",
    commands.DELRULE: "rules of",
    commands.NEWSET: "set",
    commands.DELSET: "set",
    commands.NEWSETELEM: "elements of set",
    commands.DELSETELEM: "elements of set",
    commands.NEWOBJ: "counter or limit",
    commands.DELOBJ: "counter or limit",
}
_CHAIN_MESSAGES = (commands.NEWCHAIN, commands.DELCHAIN)


def describe_message(batch: bytes, sequence: int) -> str:
    """The object of the message with a sequence number."""
    for position, (kind, number, payload) in enumerate(netlink.split_messages(batch)):
        command = kind & 0xFF
        if number != sequence or command not in _OBJECTS:
            continue
        attributes = netlink.split_attributes(netlink.generic_payload(payload))
        name = attributes.get(3 if command in _CHAIN_MESSAGES else 2, b"").rstrip(b"\0")
        if command in (commands.NEWTABLE, commands.DELTABLE) or not name:
            return f"table inet {TABLE}"
        return f"{_OBJECTS[command]} {name.decode(errors='replace')} (message {position})"
    return f"table inet {TABLE}"
