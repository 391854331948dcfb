"""Listings as repositories serve them: gzip, xz or zstandard, told by their first bytes. Pure, bounded."""

from __future__ import annotations

import lzma
import zlib
from typing import Final

import zstandard

from brakeline.catalog.discovery.model import LISTING_BYTES_MAX, BadListing

MEMORY_BYTES_MAX: Final = 128 * 1024 * 1024  # of an xz dictionary
GZIP, XZ, ZSTD = b"\x1f\x8b", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd"


def unpacked(data: bytes, bytes_max: int = LISTING_BYTES_MAX) -> bytes:
    """What is inside, or the data itself if it is not packed. Raises `BadListing`."""
    most = bytes_max + 1  # more is never made
    try:
        if data.startswith(GZIP):
            inside = zlib.decompressobj(wbits=31).decompress(data, most)
        elif data.startswith(XZ):
            inside = lzma.LZMADecompressor(memlimit=MEMORY_BYTES_MAX).decompress(data, most)
        elif data.startswith(ZSTD):
            inside = zstandard.ZstdDecompressor(max_window_size=MEMORY_BYTES_MAX).stream_reader(data).read(most)
        else:
            return data
    except (zlib.error, lzma.LZMAError, zstandard.ZstdError, EOFError) as e:
        raise BadListing(f"it is packed and damaged: {str(e)[:80]}") from None
    if len(inside) >= most:
        raise BadListing(f"there are more than {bytes_max} bytes in it")
    return inside
