"""Fingerprints of OpenPGP keys, without gpg, which a small node does not have. Pure.

RFC 4880: section 4.2 for packets, 6.2 for armor, 12.2 for the fingerprint of a version 4 key.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import Collection, Iterator, List, Tuple

PUBLIC_KEY = 6
_BEGIN = "-----BEGIN PGP PUBLIC KEY BLOCK-----"
_END = "-----END PGP PUBLIC KEY BLOCK-----"


def fingerprints(content: bytes) -> List[str]:
    """The primary keys' fingerprints, 40 upper-case hex digits each.

    Raises ValueError for what is no public key of version 4, armored or not.
    """
    found = [p.fingerprint for p in _packets(dearmored(content)) if p.tag == PUBLIC_KEY]
    if not found:
        raise ValueError("no public key in it")
    return found


def without(content: bytes, unwanted: Collection[str]) -> bytes:
    """The keys whose fingerprints are not ``unwanted``, as they stand; b'' where none is left.

    A file that has none of them is returned as it is. Raises ValueError as fingerprints() does.
    """
    if not set(fingerprints(content)) & set(unwanted):
        return content
    kept, wanted = b"", False
    for packet in _packets(dearmored(content)):
        if packet.tag == PUBLIC_KEY:  # what follows up to the next one belongs to it
            wanted = packet.fingerprint not in unwanted
        kept += packet.whole if wanted else b""
    return armored(kept).encode() if kept and _BEGIN.encode() in content else kept


def dearmored(content: bytes) -> bytes:
    """The packets of all armored blocks; what is not armored is returned as it is."""
    text = content.decode("latin-1")
    if _BEGIN not in text:
        return content
    return b"".join(_block(part) for part in text.split(_BEGIN)[1:])


def _block(text: str) -> bytes:
    inside, end, _ = text.partition(_END)
    if not end:
        raise ValueError("an armored key without its end")
    # Headers such as 'Version:' end with an empty line; the last line, '=....', is a checksum.
    lines = [line.strip() for line in inside.strip("\r\n").splitlines()]
    if "" in lines:
        lines = lines[lines.index("") + 1 :]
    try:
        return base64.b64decode("".join(li for li in lines if not li.startswith("=")), None, True)
    except binascii.Error as error:
        raise ValueError("a damaged armored key: %s" % error) from None


def armored(content: bytes) -> str:
    """The key as text, as apt and rpm both take it; an armored one is returned as it is."""
    if _BEGIN.encode() in content:
        return content.decode("latin-1")
    body = base64.b64encode(content).decode()
    lines = [body[at : at + 64] for at in range(0, len(body), 64)]
    check = base64.b64encode(_crc24(content).to_bytes(3, "big")).decode()
    return "\n".join([_BEGIN, "", *lines, "=" + check, _END, ""])


def _crc24(content: bytes) -> int:
    crc = 0xB704CE
    for byte in content:
        crc ^= byte << 16
        for _ in range(8):
            crc = (crc << 1) ^ (0x1864CFB if crc & 0x800000 else 0)
    return crc & 0xFFFFFF


@dataclass(frozen=True)
class _Packet:
    tag: int
    body: bytes
    whole: bytes

    @property
    def fingerprint(self) -> str:
        """That of a public key. Raises ValueError for one of another version than 4."""
        return _fingerprint(self.body)


def _packets(data: bytes) -> Iterator[_Packet]:
    at = 0
    while at < len(data):
        head, begin = data[at], at
        if not head & 0x80:
            raise ValueError("not an OpenPGP packet at byte %d" % at)
        tag = head & 0x3F if head & 0x40 else (head >> 2) & 0x0F
        size, length = _length(data, at + 1, head)
        at += 1 + length
        if at + size > len(data):
            raise ValueError("the key ends in the middle of a packet")
        yield _Packet(tag, data[at : at + size], data[begin : at + size])
        at += size


def _length(data: bytes, at: int, head: int) -> Tuple[int, int]:
    """(the body's length, how many bytes say so)."""
    if at >= len(data):
        raise ValueError("the key ends in the middle of a packet")
    if not head & 0x40:
        count = (1, 2, 4)[head & 3] if head & 3 < 3 else 0
        if not count:
            return len(data) - at, 0
        return int.from_bytes(data[at : at + count], "big"), count
    first = data[at]
    if first < 192:
        return first, 1
    if first < 224:
        return ((first - 192) << 8) + int.from_bytes(data[at + 1 : at + 2], "big") + 192, 2
    if first == 255:
        return int.from_bytes(data[at + 1 : at + 5], "big"), 5
    raise ValueError("a packet in parts, which no key has")


def _fingerprint(body: bytes) -> str:
    if body[:1] != b"\x04":
        raise ValueError("a key of version %d; only version 4 is known" % (body[0] if body else 0))
    framed = b"\x99" + len(body).to_bytes(2, "big") + body
    return hashlib.new("sha1", framed, usedforsecurity=False).hexdigest().upper()
