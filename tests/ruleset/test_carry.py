"""What elements of maps have counted, as the kernel tells it, and where it goes."""

from __future__ import annotations

from nsgd.model.rule import Access, Direction
from nsgd.ruleset import carry, commands, encode
from nsgd.ruleset.carry import Counted
from nsgd.ruleset.endpoint_maps import by_address, by_link, denied_by_address, denied_by_link
from nsgd.ruleset.names import interface_count, interface_counter, is_interface_count
from nsgd.wire.netlink import NESTED, attribute, be64, nested, text


def element(notes: bytes, packets: int | None) -> bytes:
    """As the kernel lists it; the counter comes before the notes or behind them."""
    counter = b""
    if packets is not None:
        data = nested(2, be64(1, 100 * packets), be64(2, packets))
        counter = nested(7, text(1, "counter"), data)
    return nested(1, nested(1, attribute(1, b"\x0a\0\0\4")), attribute(6, notes), counter)


def comment(value: str) -> bytes:
    """nft's note of a comment."""
    return bytes([0, len(value) + 1]) + value.encode() + b"\0"


def test_elements_are_read() -> None:
    """With a count and a comment, behind whatever other note; all else is passed over."""
    other = bytes([7, 3]) + b"abc"
    listed = b"".join(
        (
            element(comment("nic/web/in"), 3),
            element(other + comment("nic/b/out"), 0),
            element(comment("nic/uncounted/in"), None),
            element(other, 5),
            element(b"\0", 5),
        )
    )
    assert list(carry.read_elements(listed)) == [
        (b"\x0a\0\0\4", "nic/web/in", Counted(3, 300)),
        (b"\x0a\0\0\4", "nic/b/out", Counted(0, 0)),
    ]
    cut = element(comment("nic/web/in"), 3)[:-1]
    assert list(carry.read_elements(cut)) == []


def test_counters_of_every_form() -> None:
    """With padding between, or in another order, as with none; half a number is none."""
    octets, packets = be64(1, 300), be64(2, 3)
    for data in (octets + packets, packets + octets, octets + attribute(3, b"") + packets):
        assert carry.read_counter(data) == Counted(3, 300)
        for kind in (7, 7 | NESTED):
            parts = text(1, "counter") + attribute(2, data)
            listed = attribute(1, nested(1, attribute(1, b"k")) + attribute(kind, parts))
            assert list(carry.read_elements(listed)) == []
            listed = attribute(1, listed[4:] + attribute(6, comment("nic/a/in")))
            assert list(carry.read_elements(listed)) == [(b"k", "nic/a/in", Counted(3, 300))]
    for data in (b"", octets, packets + octets[:-1], octets + be64(4, 3), attribute(1, b"\0" * 20)):
        assert carry.read_counter(data) is None


def test_maps_are_told_by_their_names() -> None:
    """As they stand in the kernel."""
    assert carry.is_counting(f"{by_address(Direction.INBOUND, 4)}.a/256")
    assert carry.is_counting(f"{by_link(Direction.OUTBOUND, 6)}.b/0")
    assert carry.is_counting(f"{denied_by_address(Direction.INBOUND, 4)}.a/256")
    assert carry.is_counting(f"{denied_by_link(Direction.OUTBOUND)}.a/0")
    assert carry.is_of_denials("in_denied6.a/256")
    assert not carry.is_of_denials("in_addresses6.a/256")
    assert not carry.is_counting("managed4.a/3f0ee931e0")


def test_counts_are_told_by_their_names() -> None:
    """Whatever the interface is named, and however long."""
    for name in ("web", "a/out", "in", "x" * 500):
        count = interface_count(name, Direction.INBOUND)
        denied = interface_counter(name, Direction.INBOUND, Access.DENY)
        assert is_interface_count(count)
        assert is_interface_count(denied)
        assert denied != count
        assert max(len(count), len(denied)) < 250
    assert not is_interface_count("allow/web/in")


def test_what_has_been_counted_is_carried() -> None:
    """Added to what was before; what has not changed is not touched, what is not wanted ends."""
    carried = {"a": Counted(1, 10), "gone": Counted(2, 20), "same": Counted(3, 30)}
    ended = {"a": Counted(4, 40), "new": Counted(5, 50), "unheard": Counted(6, 60)}
    ended["idle"] = carry.NOTHING
    messages, after = carry.carry(carried, ended, {"a", "new", "same", "idle"})
    assert after == {"a": Counted(5, 50), "same": Counted(3, 30), "new": Counted(5, 50)}
    assert messages == [
        encode.delete_object("a", commands.OBJECT_COUNTER),
        encode.delete_object("gone", commands.OBJECT_COUNTER),
        encode.new_counter("a", 5, 50),
        encode.new_counter("new", 5, 50),
    ]
    assert carry.carry(after, {}, after) == ([], after)
