"""Rules as Azure's answers name them, which differs from answer to answer.

Documents name resources, so an ``id`` in an answer is a name: a group's, a network interface's,
or ``network/subnet``. Resource ids are not made up.
"""

from __future__ import annotations

from nsgd.model.rule import DEFAULT_SECURITY_RULES

_DEFAULT_NAMES = frozenset(rule.name for rule in DEFAULT_SECURITY_RULES)
# Such rules are called so wherever nsgd names them.
_PLATFORM = "platformRules/"
_ADMIN = "securityAdminRules/"


def rule_name(name: str) -> str:
    """As IP flow verify and effective rules name a rule: ``securityRules/AllowHttp``.

    No user's rule has a default rule's name, and none has a slash in it.
    """
    if name.startswith((_PLATFORM, _ADMIN)):
        return name
    kind = "defaultSecurityRules" if name in _DEFAULT_NAMES else "securityRules"
    return f"{kind}/{name}"


def diagnostics_rule_name(name: str) -> str:
    """As NSG diagnostics and flow logs name a rule: ``UserRule_AllowHttp``.

    Diagnostics name a security admin rule without more (Azure, NSG diagnostics, its example).
    """
    if name.startswith(_ADMIN):
        return name.removeprefix(_ADMIN)
    if name.startswith(_PLATFORM):
        return f"PlatformRule_{name.removeprefix(_PLATFORM)}"
    return f"{'DefaultRule' if name in _DEFAULT_NAMES else 'UserRule'}_{name}"


def group_name(name: str) -> str | None:
    """The group of a decision; None for rules that stand ahead of every group."""
    return name or None
