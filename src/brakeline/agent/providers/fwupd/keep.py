"""The way back from a transaction of fwupd: the former release's cabinet, on disk and proven beforehand.

A device decides whether an older version may be written at all: below its lowest version, or where it takes upgrades
only, there is no way back, and the result says so before anybody counts on one.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable

from brakeline.agent.files import write_durably
from brakeline.agent.providers.apt.inverse import inverse_of, joined
from brakeline.agent.providers.fwupd.devices import Device
from brakeline.agent.providers.fwupd.fetch import Fetcher
from brakeline.agent.providers.fwupd.words import blocked_told
from brakeline.agent.providers.model import Archive, Inverse, Order, Refused
from brakeline.agent.providers.pip.keep import RECORD, Keeper
from brakeline.protocol import codec
from brakeline.protocol.messages import Action, WayBack

ONLY_UPGRADES = "only-version-upgrade"


def no_way_back(device: Device, version: str) -> str:
    """Why the former version could not be written again, by what is known beforehand; "" = it could."""
    if ONLY_UPGRADES in device.flags:
        return f"{device.name} takes no older version."
    release = device.release(version)
    if release is None or not release.checksums:
        return f"No remote has {device.name} {version} any more."
    blocked = blocked_told(release.flags)
    return f"{device.name} {version} {blocked}." if blocked else ""


def keep(
    keeper: Keeper, fetcher: Fetcher, order: Order, pairs: Iterable[tuple[Action, Device]], now_ms: int,
    timeout_s: float,
) -> WayBack:  # fmt: skip
    """Store the inverse; without it an update may still be done, and the result says that there is no way back."""
    if order.inverse is not None:
        return WayBack(False, code="is_way_back", reason="This is itself the way back from an update.")
    place = keeper.place(order.rollout_id)
    keeper.forget_oldest()
    earlier = keeper.stored(order.rollout_id)  # of a try that did a part of it: that has no other way back
    if earlier is None:
        shutil.rmtree(keeper.runner.path(place), ignore_errors=True)
    archives = _archives(fetcher, pairs, place, timeout_s)
    if isinstance(archives, str):
        if earlier is None:
            shutil.rmtree(keeper.runner.path(place), ignore_errors=True)
        return WayBack(False, code="gone", reason=archives)
    back = inverse_of(order.transaction)
    inverse = Inverse(order.transaction_id, order.rollout_id, back, archives, made_ms=now_ms)
    inverse = inverse if earlier is None else joined(inverse, earlier)
    try:
        keeper.runner.path(place).mkdir(parents=True, exist_ok=True, mode=0o700)
        write_durably(keeper.runner.path(place) / RECORD, codec.encode(inverse))
    except OSError as e:
        return WayBack(False, code="no_space", reason=f"The former cabinet could not be kept: {e.strerror}.")
    return WayBack(True, len(inverse.transaction.actions))


def _archives(
    fetcher: Fetcher, pairs: Iterable[tuple[Action, Device]], place: str, timeout_s: float
) -> tuple[Archive, ...] | str:
    """Every former cabinet, here and proven; a text = why there is no way back."""
    archives = []
    for a, device in pairs:
        if reason := no_way_back(device, a.before):
            return reason
        release = device.release(a.before)
        assert release is not None  # `no_way_back` has said so
        path = fetcher.fetch(release, f"{place}/{device.id}", max(1.0, timeout_s))
        if isinstance(path, Refused):
            return f"The former cabinet cannot be had. {path.reason}"
        with open(fetcher.runner.path(path), "rb") as f:
            digest = hashlib.file_digest(f, "sha256").hexdigest()
        archives.append(Archive(a.name, a.architecture, a.before, path, digest))
    return tuple(archives)


def kept_cabinet(inverse: Inverse, action: Action) -> tuple[str, str] | None:
    """Path and SHA-256 of what was kept for this action; None = it is no part of that way back."""
    if action not in inverse.transaction.actions:
        return None
    return next(
        ((x.path, x.sha256) for x in inverse.archives
         if (x.name, x.architecture, x.version) == (action.name, action.architecture, action.after)),
        None,
    )  # fmt: skip
