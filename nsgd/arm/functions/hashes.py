"""uniqueString() and guid(): the same text as Azure gives, so that names come out alike.

Source:
    Microsoft's DSC reference of uniqueString: the values are joined with dashes, hashed with
    MurmurHash64 and written in base 32. The variant of the hash is Azure's own and was taken from
    public results, some of which are in tests/arm/test_text_functions.py. Bicep's reference of
    guid() names its namespace.
"""

from __future__ import annotations

import uuid

from nsgd.arm.functions.arguments import need_text

_GUID_NAMESPACE = uuid.UUID("11fb06fb-712d-4ddd-98c7-e71bbd588830")
_BASE_32 = "abcdefghijklmnopqrstuvwxyz234567"
_MASK_32 = 0xFFFFFFFF
_MASK_64 = 0xFFFFFFFFFFFFFFFF
_FACTOR_1 = 0x239B961B
_FACTOR_2 = 0xAB0E9789


def utf8(text: str) -> bytes:
    """The text's bytes; half of a character becomes a question mark."""
    return text.encode("utf-8", "replace")


def guid(*texts: object) -> str:
    """A GUID that is always the same for the same texts."""
    joined = "-".join(need_text(text) for text in texts)
    return str(uuid.uuid5(_GUID_NAMESPACE, utf8(joined).decode()))


def unique_string(*texts: object) -> str:
    """13 characters that are always the same for the same texts."""
    number = _murmur_64(utf8("-".join(need_text(text) for text in texts)))
    characters = []
    for _ in range(13):
        characters.append(_BASE_32[number >> 59])
        number = number << 5 & _MASK_64
    return "".join(characters)


def _rotate(value: int, bits: int) -> int:
    return (value << bits | value >> (32 - bits)) & _MASK_32


def _mix_1(block: bytes) -> int:
    value = int.from_bytes(block, "little") * _FACTOR_1 & _MASK_32
    return _rotate(value, 15) * _FACTOR_2 & _MASK_32


def _mix_2(block: bytes) -> int:
    value = int.from_bytes(block, "little") * _FACTOR_2 & _MASK_32
    return _rotate(value, 17) * _FACTOR_1 & _MASK_32


def _finish(value: int) -> int:
    value = (value ^ value >> 16) * 0x85EBCA6B & _MASK_32
    value = (value ^ value >> 13) * 0xC2B2AE35 & _MASK_32
    return value ^ value >> 16


def _murmur_64(data: bytes) -> int:
    first = second = 0
    whole = len(data) - len(data) % 8
    for at in range(0, whole, 8):
        first = _rotate(first ^ _mix_1(data[at : at + 4]), 19) + second
        first = (first * 5 + 0x561CCD1B) & _MASK_32
        second = _rotate(second ^ _mix_2(data[at + 4 : at + 8]), 13) + first
        second = (second * 5 + 0x0BCAA747) & _MASK_32
    if len(data) > whole:
        first ^= _mix_1(data[whole : whole + 4])
    if len(data) > whole + 4:
        second ^= _mix_2(data[whole + 4 :])
    first, second = first ^ len(data), second ^ len(data)
    first = (first + second) & _MASK_32
    second = (second + first) & _MASK_32
    first, second = _finish(first), _finish(second)
    first = (first + second) & _MASK_32
    second = (second + first) & _MASK_32
    return second << 32 | first
