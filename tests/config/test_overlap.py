"""The sweep finds what comparing all pairs finds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nsgd.config.overlap import find_overlaps
from nsgd.model.address import Prefix


@st.composite
def prefixes(draw: st.DrawFn) -> Prefix:
    """Prefixes of both families in so little space that many overlap."""
    version = draw(st.sampled_from((4, 6)))
    bits = 32 if version == 4 else 128
    length = draw(st.integers(bits - 6, bits))
    host_bits = bits - length
    network = draw(st.integers(0, 63)) >> host_bits << host_bits
    return Prefix(4 if version == 4 else 6, network, length)


@given(st.lists(prefixes(), max_size=12))
def test_every_prefix_inside_another_is_found(found: list[Prefix]) -> None:
    """Each pair is a true overlap, and each entry that another covers is the inner of a pair."""
    pairs = list(find_overlaps([(prefix, index) for index, prefix in enumerate(found)]))
    assert all(outer.covers(inner) and first != second for (outer, first), (inner, second) in pairs)
    inside = {second for _, (_, second) in pairs}
    for index, prefix in enumerate(found):
        properly_inside = any(other.covers(prefix) and other != prefix for other in found)
        assert index in inside or not properly_inside
    # Of equal prefixes all but one are told.
    assert len(found) - len(set(found)) <= len(inside)
    assert bool(pairs) == any(
        one.overlaps(other) for index, one in enumerate(found) for other in found[index + 1 :]
    )
