"""Netlink framing."""

from __future__ import annotations

from nsgd.wire.netlink import append_messages, message, nft_message_type


def test_messages_of_a_batch_are_messages() -> None:
    """Behind what is there, numbered behind what came before, each as it is by itself."""
    messages = [(0, 0x400, b""), (6, 0xC00, b"rule"), (12, 0x400, bytes(60_000))]
    data = bytearray(b"begin")
    assert append_messages(data, messages, 41, 1) == 44
    assert data == b"begin" + b"".join(
        message(nft_message_type(command), flags, sequence, 1, payload)
        for sequence, (command, flags, payload) in enumerate(messages, 42)
    )


def test_a_batch_of_nothing() -> None:
    """Nothing is appended, and no number taken."""
    data = bytearray()
    assert append_messages(data, [], 41, 1) == 41
    assert not data
