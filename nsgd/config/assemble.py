"""Assembles the fields of all documents to a model, with every check that concerns several of them.

Parts of an earlier load are taken over where nothing that they were made from differs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from nsgd.config.admin_rules import AdminReader
from nsgd.config.classic import CloudServiceReader
from nsgd.config.declared import declare_networks
from nsgd.config.dialect import DialectInForce, check_sections
from nsgd.config.document import Document
from nsgd.config.groups import assemble_groups, declare_groups
from nsgd.config.interfaces import InterfaceReader
from nsgd.config.kept import NOTHING_KEPT, Kept
from nsgd.config.kept_interfaces import ContradictionError, InterfaceTaker
from nsgd.config.limits import check_numbers, read_limits
from nsgd.config.names import Names
from nsgd.config.networks import assemble_networks
from nsgd.config.peerings import check_peer_overlaps
from nsgd.config.places import Places
from nsgd.config.platform import assemble_platform
from nsgd.config.report import Place, Report, Source
from nsgd.config.rule import References
from nsgd.config.rule_tags import RuleTags, read_cloud
from nsgd.config.rules import assemble_security_groups
from nsgd.config.scale_sets import assemble_scale_sets
from nsgd.config.sections import list_section, only_section
from nsgd.config.settings import assemble_settings
from nsgd.config.subscription import assemble_subscription
from nsgd.config.tag_catalogue import TagSource
from nsgd.model.network import NetworkModel
from nsgd.model.settings import DaemonSettings


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """What the documents declare, and how this host is to run it.

    *reading* holds the sections that say how documents are read, serviceTags and limits; *notes*
    tell what was left aside in Azure's JSON, and *warnings* are those of them that must be told
    unasked: rules may be missing. *linked* are templates that others linked to, as they were read.
    *places* leads back to the text, where that was asked for.
    """

    model: NetworkModel
    settings: DaemonSettings
    reading: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    linked: tuple[Document, ...] = ()
    warnings: tuple[str, ...] = ()
    places: Places | None = None


def assemble_after(
    before: Kept,
    fields: Sequence[Mapping[str, Any]],
    in_force: DialectInForce,
    tags: TagSource | None,
    report: Report,
    sources: Sequence[Source],
) -> tuple[LoadedConfig, Callable[[], Kept]]:
    """As _assemble(), from parts of an earlier load where that finds no mistake."""
    if before is not NOTHING_KEPT and not report.has_problems:
        attempt = Report(sources, report.is_complete)
        with suppress(ContradictionError):
            made = _assemble(fields, in_force, tags, attempt, before)
            if not attempt.has_problems:
                return made
    return _assemble(fields, in_force, tags, report, NOTHING_KEPT)


def _assemble(
    fields: Sequence[Mapping[str, Any]],
    in_force: DialectInForce,
    tags: TagSource | None,
    report: Report,
    before: Kept,
) -> tuple[LoadedConfig, Callable[[], Kept]]:
    """Build the model; it may lack what was reported, so it counts only without problems.

    With it comes what makes parts to be kept of it, if there were none.
    """
    check_sections(fields, in_force, report)
    limits = read_limits(only_section(fields, "limits", report), in_force, report)
    security_groups = list_section(fields, "networkSecurityGroups")
    check_numbers("networkSecurityGroups", security_groups, limits, report)
    security_group_names: Names[str] = Names("network security group", report)
    for place, raw in security_groups:
        name: str | None = raw.get("name")
        if name is not None:
            security_group_names.declare(name, place, name)

    network_sections = list_section(fields, "virtualNetworks")
    network_names, declared = declare_networks(network_sections, report)
    networks = assemble_networks(
        network_sections, declared, network_names, security_group_names, limits, report, in_force
    )
    check_peer_overlaps(networks, network_names, report)

    group_sections = list_section(fields, "applicationSecurityGroups")
    check_numbers("applicationSecurityGroups", group_sections, limits, report)
    groups = declare_groups(group_sections, network_names, report)
    subnets = [subnet for network in declared for subnet in network.all_subnets]
    kind = "virtual machine" if in_force.dialect.attaches_to_machines else "network interface"
    reader = InterfaceReader(
        network_names, security_group_names, groups, subnets, limits, report, kind
    )
    taker = InterfaceTaker(
        before.interfaces,
        (limits.values, in_force, [network.name for network in declared], subnets),
        security_group_names,
        groups,
        limits,
        report,
    )
    interfaces, cloud_services = CloudServiceReader(
        reader.names, security_group_names, report
    ).assemble(list_section(fields, "cloudServices"), taker.assemble(fields, reader))
    scale_sets = assemble_scale_sets(
        list_section(fields, "scaleSets"), security_group_names, reader, report
    )

    cloud_section = only_section(fields, "serviceTags", report)
    cloud = read_cloud(cloud_section)
    may_judge = report.is_complete or cloud_section is not None
    rule_tags = RuleTags(cloud, tags, report, may_judge, in_force, before.tags)
    references = References(groups, rule_tags, limits, report, in_force)
    group_taker = before.taker((limits.values, in_force), groups, rule_tags)
    rules = assemble_security_groups(security_groups, references, group_taker.take)
    admin_configurations = AdminReader(network_names, rule_tags, report).assemble(
        list_section(fields, "securityAdminConfigurations")
    )

    daemon = [
        (Place(document, ("daemon",)), of_document["daemon"])
        for document, of_document in enumerate(fields)
        if of_document.get("daemon") is not None
    ]
    loaded = LoadedConfig(
        NetworkModel(
            tuple(networks),
            tuple(interfaces),
            tuple(rules),
            tuple(assemble_groups(group_sections, groups, limits, report)),
            scale_sets=tuple(scale_sets),
            service_tags=rule_tags.in_use(),
            platform=assemble_platform(only_section(fields, "platformAddresses", report), report),
            subscription=assemble_subscription(
                only_section(fields, "subscription", report), report, in_force
            ),
            dialect=in_force.dialect,
            cloud_services=cloud_services,
            security_admin_configurations=admin_configurations,
        ),
        assemble_settings(daemon, report),
        {
            key: of_document[key]
            for key in ("serviceTags", "limits")
            for of_document in fields
            if of_document.get(key)
        },
    )
    loaded = replace(loaded, model=before.unified(loaded.model))
    return loaded, lambda: Kept(
        group_taker.context,
        group_taker.keep(security_groups, loaded.model.network_security_groups),
        taker.keep(fields, loaded.model.network_interfaces),
        rule_tags.to_keep(),
        loaded.model,
        group_taker.networks,
    )
