"""Machines of the classic deployment model: network interfaces underneath, under another name.

A cloud service's group is that of each of its machines. Azure's text does not say what happens
where a machine has a group too, so that is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from nsgd.config.names import Names
from nsgd.config.report import Place, Report
from nsgd.config.sections import Section, list_section
from nsgd.config.wording import show
from nsgd.model.network import CloudService, NetworkInterface

_KEEP_ONE = "keep one of them"


def machine_sections(fields: Sequence[Mapping[str, Any]]) -> list[Section]:
    """Virtual machines and role instances, as sections of network interfaces.

    A role instance is named SERVICE/INSTANCE, so that services may have instances of one name.
    """
    return list_section(fields, "virtualMachines") + [
        (place, {**raw, "name": _instance_name(service, raw["name"])} if raw.get("name") else raw)
        for service_place, service in list_section(fields, "cloudServices")
        for place, raw in _instances(service_place, service)
    ]


def _instances(place: Place, service: Mapping[str, Any]) -> list[Section]:
    return [
        (place.at("roleInstances", index), raw)
        for index, raw in enumerate(service.get("roleInstances") or ())
        if raw is not None
    ]


def _instance_name(service: Mapping[str, Any], name: str) -> str:
    return f"{service['name']}/{name}" if service.get("name") else name


class CloudServiceReader:
    """Assembles the cloud services of all documents."""

    def __init__(self, machines: Names[str], security_groups: Names[str], report: Report) -> None:
        """Prepare for references to machines by name, and to network security groups."""
        self._machines = machines
        self._security_groups = security_groups
        self._report = report
        self._service_of: dict[str, Place] = {}  # by name of the machine

    def assemble(
        self, sections: Sequence[Section], interfaces: Sequence[NetworkInterface]
    ) -> tuple[Sequence[NetworkInterface], tuple[CloudService, ...]]:
        """The services, and the network interfaces with the groups that they have by these."""
        if not sections:
            return interfaces, ()
        names: Names[None] = Names("cloud service", self._report)
        own_groups = {nic.name: nic.network_security_group for nic in interfaces}
        groups: dict[str, str] = {}
        services = []
        for place, raw in sections:
            for at, instance in _instances(place, raw):
                if instance.get("name"):
                    self._service_of[_instance_name(raw, instance["name"])] = at
        for place, raw in sections:
            name: str | None = raw.get("name")
            if name is None:
                continue
            names.declare(name, place, None)
            group = self._security_groups.resolve(
                raw.get("networkSecurityGroup"), place, "networkSecurityGroup"
            )
            machines = self._virtual_machines(raw.get("virtualMachines") or (), place)
            instances = tuple(
                _instance_name(raw, instance["name"])
                for _, instance in _instances(place, raw)
                if instance.get("name")
            )
            services.append(CloudService(name, group, tuple(machines), instances))
            if group is None:
                continue
            groups |= dict.fromkeys((*machines, *instances), group)
            for machine, at in machines.items():
                own = own_groups.get(machine)
                if own is not None:
                    self._report.add(
                        at,
                        f"virtual machine {show(machine)} has network security group {show(own)} of"
                        f" its own, and this cloud service has {show(group)}",
                        _KEEP_ONE,
                    )
        attached = [
            replace(nic, network_security_group=groups[nic.name]) if nic.name in groups else nic
            for nic in interfaces
        ]
        return attached, tuple(services)

    def _virtual_machines(self, entries: Sequence[str | None], place: Place) -> dict[str, Place]:
        found: dict[str, Place] = {}
        for index, entry in enumerate(entries):
            at = place.at("virtualMachines", index)
            machine = self._machines.resolve(entry, at)
            if machine is None:
                continue
            first = self._service_of.setdefault(machine, at)
            if first is not at:
                self._report.add(
                    at,
                    f"virtual machine {show(machine)} is already in a cloud service, by"
                    f" {self._report.locate(first, at)}",
                    _KEEP_ONE,
                )
            found[machine] = at
        return found
