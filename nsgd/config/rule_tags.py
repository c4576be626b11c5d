"""Service tags that rules name, looked up in Microsoft's file once for each load."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nsgd.config.addresses import BUILT_IN_TAGS, INVALID_PREFIX, UnresolvedTag
from nsgd.config.dialect import NOW_IN_FORCE, DialectInForce
from nsgd.config.problem import Refusal
from nsgd.config.report import Place, Report
from nsgd.config.sections import Section
from nsgd.config.tag_catalogue import TagCatalogue, TagSource, is_cloud_name
from nsgd.config.wording import closest, show
from nsgd.model.dialect import DIALECTS
from nsgd.model.network import ServiceTagPrefixes
from nsgd.model.rule import AnyAddress, PlatformTag, PublishedTag, ServiceTag, TagAddress

DEFAULT_CLOUD = "Public"

# The classic deployment model's spellings; INTERNET differs in case only.
_CLASSIC_TAGS = {
    "virtual_network": ServiceTag.VIRTUAL_NETWORK.value,
    "azure_loadbalancer": ServiceTag.AZURE_LOAD_BALANCER.value,
}
_INSTALL = "`nsgd tags update FILE` installs it"
# Looking for a near name among thousands takes long: beyond this the list has to do.
_MAXIMUM_SUGGESTIONS = 20
# Without a catalogue most texts are good tags: only a slip of a letter or two is taken for one.
_SLIP = 0.85


def parse_cloud(value: object) -> str:
    """Read a cloud's name; it names a file too, so it has letters and nothing else."""
    if isinstance(value, str) and is_cloud_name(value):
        return value
    raise Refusal(
        f"{show(value)} is not the name of a cloud",
        "write it as Microsoft's file does, such as Public or AzureGovernment",
    )


def read_cloud(section: Section | None) -> str | None:
    """The cloud of the ``serviceTags`` section; None where it was refused."""
    if section is None or "cloud" not in section[1]:
        return DEFAULT_CLOUD
    cloud: str | None = section[1]["cloud"]
    return cloud


@dataclass(frozen=True, slots=True)
class KeptTags:
    """The tags that an earlier load had in use, of one catalogue."""

    catalogue: TagCatalogue
    prefixes: Mapping[str, ServiceTagPrefixes]  # by name


class RuleTags:
    """Resolves the tags of one set of documents, and remembers which are in use.

    The catalogue is asked for at the first tag and kept: a file that is replaced meanwhile does
    not give one policy the prefixes of two.
    """

    def __init__(
        self,
        cloud: str | None,
        source: TagSource | None,
        report: Report,
        may_judge: bool = True,
        in_force: DialectInForce = NOW_IN_FORCE,
        kept: KeptTags | None = None,
    ) -> None:
        """*may_judge* is False where an unreadable document may name another cloud."""
        self._kept = kept
        self._in_force = in_force
        self._cloud = cloud
        self._source = source
        self._report = report
        self._may_judge = may_judge and cloud is not None
        self._catalogue: TagCatalogue | None = None
        self._is_asked = False
        self._by_text: dict[str, PublishedTag | Refusal] = {}
        self._prefixes: dict[str, ServiceTagPrefixes] = {}  # of those in use, once asked for
        self._suggestions = 0

    def take(
        self, entry: AnyAddress | TagAddress | PlatformTag | UnresolvedTag | None, place: Place
    ) -> AnyAddress | TagAddress | PlatformTag | PublishedTag | None:
        """An entry as the dialect in force has it; None where it is or has been refused."""
        dialect = self._in_force.dialect
        match entry:
            case None | AnyAddress():
                return entry
            case UnresolvedTag():
                return self.resolve(entry, place)
            case TagAddress(computed):
                name, spelling = computed.value, dialect.tag_spellings[computed]
                if spelling.lower() == name.lower():
                    return entry
                way_out = f"write {spelling}"
            case PlatformTag(service):
                if dialect.has_platform_tags:
                    return entry
                name = service.value
                way_out = "write the addresses: platform traffic is judged by the ordinary rules"
        self._in_force.lacks(f"service tag {name}", way_out, place, self._report)
        return None

    def resolve(self, tag: UnresolvedTag, place: Place) -> TagAddress | PublishedTag | None:
        """The tag in the file's spelling, or None where there is none, which has been reported.

        Source:
            Azure, Virtual network service tags, which has AzureFrontDoor.Frontend beside regions
            such as Storage.WestUS: a name is looked up whole, and never split at its dot.
        """
        known = self._by_text.get(tag.text)
        if isinstance(known, PublishedTag):
            return known
        computed = self._in_force.dialect.spelled(tag.text)
        if computed is not None:
            return TagAddress(computed)
        if not self._in_force.is_known and any(d.spelled(tag.text) for d in DIALECTS.values()):
            return None  # perhaps a tag of the dialect that an unreadable document names
        if not self._in_force.dialect.may_publish(tag.text):
            names = self._in_force.dialect.tag_names()
            meant = closest(tag.text, names)
            way_out = f"{f'did you mean {meant}? ' if meant else ''}it has {', '.join(names)}"
            self._in_force.lacks(f"service tag {show(tag.text)}", way_out, place, self._report)
            return None
        found = known or self._look_up(tag.text)
        self._by_text[tag.text] = found
        if isinstance(found, PublishedTag):
            return found
        # A file that is not installed is one mistake, however many rules need it.
        if self._may_judge and (known is None or self._catalogue is not None):
            self._report.add(place, found.message, found.way_out)
        return None

    def take_again(self, names: Sequence[str]) -> bool:
        """Take tags that were resolved in an earlier load; False where one is not there now."""
        if not names:
            return True
        catalogue = self._ask()
        if catalogue is None:
            return False
        kept = self._kept
        known = kept.prefixes if kept is not None and kept.catalogue is catalogue else {}
        if any(name not in known and catalogue.find(name) != name for name in names):
            return False
        for name in names:
            self._by_text.setdefault(name, PublishedTag(name))
        return True

    def in_use(self) -> tuple[ServiceTagPrefixes, ...]:
        """Each tag that was resolved, once, in the order of first use."""
        catalogue = self._catalogue
        if catalogue is None:
            return ()
        names = dict.fromkeys(
            found.name for found in self._by_text.values() if isinstance(found, PublishedTag)
        )
        kept = self._kept
        known = kept.prefixes if kept is not None and kept.catalogue is catalogue else {}
        for name in names:
            if name not in self._prefixes:
                prefixes = known.get(name) or ServiceTagPrefixes(name, catalogue.prefixes(name))
                self._prefixes[name] = prefixes
        return tuple(self._prefixes[name] for name in names)

    def to_keep(self) -> KeptTags | None:
        """The tags in use, for a later load."""
        if self._catalogue is None:
            return None
        return KeptTags(self._catalogue, {tag.name: tag for tag in self.in_use()})

    def _ask(self) -> TagCatalogue | None:
        if not self._is_asked and self._source is not None and self._cloud is not None:
            self._catalogue = self._source.catalogue(self._cloud)
        self._is_asked = True
        return self._catalogue

    def _look_up(self, text: str) -> PublishedTag | Refusal:
        catalogue = self._ask()
        if catalogue is None:
            return self._without_catalogue(text)
        name = catalogue.find(text)
        return PublishedTag(name) if name is not None else self._unknown(text, catalogue)

    def _unknown(self, text: str, catalogue: TagCatalogue) -> Refusal:
        meant = _CLASSIC_TAGS.get(text.lower())
        if meant is None and self._suggestions < _MAXIMUM_SUGGESTIONS:
            self._suggestions += 1
            meant = closest(text, (*BUILT_IN_TAGS, *catalogue.names()))
        known = "`nsgd tags list` shows all; or list the prefixes"
        return Refusal(
            f"{INVALID_PREFIX}: there is no service tag {show(text)} in Microsoft's file of cloud "
            f"{catalogue.cloud}, change {catalogue.change_number}",
            f"did you mean {meant}? {known}" if meant else known,
        )

    def _without_catalogue(self, text: str) -> Refusal:
        meant = _CLASSIC_TAGS.get(text.lower())
        if meant is None:
            by_lower = {name.lower(): name for name in BUILT_IN_TAGS}
            near = difflib.get_close_matches(text.lower(), by_lower, n=1, cutoff=_SLIP)
            meant = by_lower[near[0]] if near else None
        return Refusal(
            f"{INVALID_PREFIX}: service tag {show(text)} needs Microsoft's service tags file of "
            f"cloud {self._cloud}, and none is installed",
            f"did you mean {meant}? Otherwise {_INSTALL}" if meant else _INSTALL,
        )
