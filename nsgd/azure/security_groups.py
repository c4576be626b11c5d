"""Network security groups and their rules, and application security groups."""

from __future__ import annotations

from nsgd.azure.context import Context, translate_parts
from nsgd.azure.fields import Fields, Table, entries_of, fold, read_fields
from nsgd.azure.origins import Piece, Written
from nsgd.azure.recognise import APPLICATION_GROUP, SECURITY_GROUP, Resource
from nsgd.azure.rule_text import rule_fields
from nsgd.model.rule import DEFAULT_SECURITY_RULES

_RULE_VALUES = (
    "name",
    "priority",
    "direction",
    "access",
    "protocol",
    "description",
    "sourceAddressPrefix",
    "sourceAddressPrefixes",
    "sourcePortRange",
    "sourcePortRanges",
    "destinationAddressPrefix",
    "destinationAddressPrefixes",
    "destinationPortRange",
    "destinationPortRanges",
)
_RULE_GROUPS = ("sourceApplicationSecurityGroups", "destinationApplicationSecurityGroups")
_RULE = Table("a security rule", (*_RULE_VALUES, *_RULE_GROUPS))
# What a group is attached to and logged by is said there.
_GROUP = Table(
    "a network security group",
    ("name", "securityRules", "defaultSecurityRules", "flushConnection"),
    ("flowLogs", "networkInterfaces", "subnets"),
)
_DEFAULTS = {fold(rule.name): rule_fields(rule, str) for rule in DEFAULT_SECURITY_RULES}
_APPLICATION_GROUP = Table("an application security group", ("name",))


def translate_security_group(resource: Resource, context: Context) -> Piece | None:
    """A network security group as an entry of ``networkSecurityGroups``."""
    fields = read_fields(_GROUP, resource.value, resource.at, context.findings)
    if fields is None:
        return None
    piece = Piece(fields.at, fields.below)
    piece.put("name", resource.name, fields.where("name"))
    rules = translate_parts(resource, fields, "securityRules", _translate_rule, context)
    piece.put_pieces("securityRules", rules, fields.where("securityRules"))
    key = "defaultSecurityRules"
    rules = translate_parts(resource, fields, key, _translate_rule, context)
    # Some of the six, asked for one by one, say nothing new.
    if fields.get(key) is not None or not all(map(_is_default, rules)):
        piece.put_pieces(key, rules, fields.where(key))
    fields.copy_to(piece, ("flushConnection",))
    return piece


def _is_default(piece: Piece) -> bool:
    """Tell whether a rule is one of the six, to the letter but for its description."""
    rule = dict(piece.value)
    name = rule.pop("name", None)
    rule.pop("description", None)
    return isinstance(name, str) and _DEFAULTS.get(fold(name)) == rule


def _translate_rule(value: object, at: Written, context: Context) -> Piece | None:
    fields = read_fields(_RULE, value, at, context.findings)
    if fields is None:
        return None
    piece = Piece(fields.at, fields.below)
    fields.copy_to(piece, _RULE_VALUES)
    for key in _RULE_GROUPS:
        put_application_groups(piece, key, fields, context)
    return piece


def put_application_groups(piece: Piece, key: str, fields: Fields, context: Context) -> None:
    """Set a list of application security groups to their names."""
    if fields.get(key) is None:
        return
    references = [
        reference
        for entry, at in entries_of(fields, key, context.findings)
        if (reference := context.directory.resolve(entry, APPLICATION_GROUP, at)) is not None
    ]
    names = [(reference.name, reference.at) for reference in references]
    piece.put_list(key, names, fields.where(key))


def translate_application_group(resource: Resource, context: Context) -> Piece | None:
    """An application security group as an entry of ``applicationSecurityGroups``."""
    fields = read_fields(_APPLICATION_GROUP, resource.value, resource.at, context.findings)
    if fields is None:
        return None
    piece = Piece(fields.at, fields.below)
    piece.put("name", resource.name, fields.where("name"))
    return piece


def put_security_group(piece: Piece, fields: Fields, context: Context) -> None:
    """Set ``networkSecurityGroup``, of a subnet or an interface, to the group's name."""
    key = "networkSecurityGroup"
    value = fields.get(key)
    if value is None:
        return
    reference = context.directory.resolve(value, SECURITY_GROUP, fields.where(key))
    if reference is not None:
        piece.put(key, reference.name, reference.at)
