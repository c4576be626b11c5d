"""Who may open flows while more of them come than the workers can decide.

Up to a total rate everybody may. Beyond it each source has a rate of its own, so that one that
floods takes nothing from others but the total, which is less than the workers can do. A source
that has had a flow allowed lately has a higher rate: floods are mostly of what is denied.

A source is an address of IPv4, a /64 of IPv6. Sets are bounded: sources beyond them share a rate.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from nsgd.model.address import IP_VERSIONS
from nsgd.model.settings import Admission, DaemonSettings
from nsgd.ruleset.keys import address_key
from nsgd.ruleset.marks import MarkLayout
from nsgd.ruleset.matches import CtState, MatchCtState, MatchMark, MatchTcpFlags
from nsgd.ruleset.objects import Chain, DynamicSet, NftRule, RateLimit, nft_rule
from nsgd.ruleset.statements import (
    Accept,
    Count,
    Drop,
    Goto,
    Jump,
    Limit,
    MatchSource,
    Return,
    UpdateSource,
)
from nsgd.wire.packet import FIN_SYN_RST_ACK, SYN

BEYOND_SOURCE_RATE, BEYOND_SOURCES = "admission_source_rate", "admission_sources"
COUNTERS = (BEYOND_SOURCE_RATE, BEYOND_SOURCES)
_CHAIN, _OF_ALLOWED = "admission", "admission_allowed"
# More sources have rates than are known to have one: whoever is known has one.
_MOST_METERED, _MOST_KNOWN = 32_768, 16_384
_REMEMBERED_S = 30
_MOST_ALLOWED = 65_536
_ALLOWED_REMEMBERED_S = 600


@dataclass(frozen=True, slots=True)
class AdmissionRules:
    """What stands ahead of the queues; nothing where the settings have no admission."""

    settings: DaemonSettings

    @property
    def _admission(self) -> Admission | None:
        return self.settings.admission

    def asking(self) -> Iterator[NftRule]:
        """The rules before those that queue: what opens a flow asks for admission.

        A packet of a flow that has a decision, or was answered, does not.
        """
        if self._admission is None:
            return
        undecided = MatchMark("meta", MarkLayout(self.settings.mark_mask).is_decided, is_set=False)
        first = MatchCtState(CtState.NEW | CtState.UNTRACKED)
        yield nft_rule(first, undecided, Jump(_CHAIN))
        # A new connection under an old one's entry, whatever that has.
        opening = MatchTcpFlags(FIN_SYN_RST_ACK, SYN)
        yield nft_rule(MatchCtState(CtState.ESTABLISHED), opening, Jump(_CHAIN), comment="SYN")

    def chains(self) -> Iterator[Chain]:
        """The chain that returns what is admitted."""
        if self._admission is not None:
            yield Chain(_CHAIN, tuple(self._rules(self._admission)))
            yield Chain(_OF_ALLOWED, tuple(self._rules_of_allowed(self._admission)))

    def noting(self) -> Iterator[NftRule]:
        """What remembers the source of a flow that a worker has allowed."""
        if self._admission is not None:
            for version in IP_VERSIONS:
                allowed = UpdateSource(version, _allowed(version))
                yield nft_rule(MatchCtState(CtState.NEW), allowed)

    def sets(self) -> Iterator[DynamicSet]:
        """Sources that have come while there was too much, and their rates."""
        if self._admission is None:
            return
        rate = self._admission.per_source, self._admission.source_burst
        for version in IP_VERSIONS:
            source = address_key(version, "source")
            yield DynamicSet(_metered(version), source, _MOST_METERED, _REMEMBERED_S, rate)
            yield DynamicSet(_known(version), source, _MOST_KNOWN, _REMEMBERED_S)
            yield DynamicSet(_allowed(version), source, _MOST_ALLOWED, _ALLOWED_REMEMBERED_S)
            yield DynamicSet(
                _allowed_rates(version),
                source,
                _MOST_ALLOWED,
                _REMEMBERED_S,
                self._allowed_rate(self._admission),
            )

    def limits(self) -> Iterator[RateLimit]:
        """The total, and what sources beyond the sets share; named by their values."""
        if self._admission is not None:
            yield self._total(self._admission)
            yield self._rest(self._admission)

    def _rules(self, admission: Admission) -> Iterator[NftRule]:
        yield nft_rule(Limit(self._total(admission).name), Return())
        for version in IP_VERSIONS:
            yield nft_rule(MatchSource(version, _allowed(version)), Goto(_OF_ALLOWED))
        for version in IP_VERSIONS:
            rate = admission.per_source, admission.source_burst
            beyond = UpdateSource(version, _metered(version), rate)
            yield nft_rule(beyond, Count(BEYOND_SOURCE_RATE), self._refuse)
        for version in IP_VERSIONS:
            # Does not match where the set is full.
            yield nft_rule(UpdateSource(version, _known(version)), Return())
        yield nft_rule(Limit(self._rest(admission).name), Return())
        yield nft_rule(Count(BEYOND_SOURCES), self._refuse)

    def _rules_of_allowed(self, admission: Admission) -> Iterator[NftRule]:
        for version in IP_VERSIONS:
            beyond = UpdateSource(version, _allowed_rates(version), self._allowed_rate(admission))
            yield nft_rule(beyond, Count(BEYOND_SOURCE_RATE), self._refuse)

    @property
    def _refuse(self) -> Accept | Drop:
        """Where nothing is dropped that nobody decides, this is not either."""
        return Accept() if self.settings.lets_undecided_pass else Drop()

    def _allowed_rate(self, admission: Admission) -> tuple[int, int]:
        return admission.per_allowed_source, admission.per_allowed_source

    def _total(self, admission: Admission) -> RateLimit:
        # What comes at once may fill half of the queues.
        burst = max(1, self.settings.queue_length * self.settings.queues // 2)
        return _named("total", admission.per_worker * self.settings.queues, burst)

    def _rest(self, admission: Admission) -> RateLimit:
        return _named("rest", max(1, admission.per_worker * self.settings.queues // 10), 100)


def _named(name: str, rate: int, burst: int) -> RateLimit:
    """The kernel keeps a limit as it was made: another one has another name."""
    return RateLimit(f"{_CHAIN}/{name}/{rate}/{burst}", rate, burst)


def _metered(version: int) -> str:
    return f"admission_rates{version}"


def _known(version: int) -> str:
    return f"admission_sources{version}"


def _allowed(version: int) -> str:
    return f"admission_allowed{version}"


def _allowed_rates(version: int) -> str:
    return f"admission_allowed_rates{version}"
