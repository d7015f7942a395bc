"""Which publishers of a topic send at the same time: two cameras on one topic, by mistake."""

from dataclasses import dataclass
from typing import Any

from irvis_fusion_ros.ros.throttle import plain

# Seconds after which a publisher that sends nothing is no longer there.
_SILENT = 5.0
# Two that sent for less time than this side by side may be one camera that hands over to its successor.
_HANDOVER = 1.0
# DDS lists a publisher that was killed for 20 s; waited for where it does not tell who sent a message.
_LEASE = 30.0
# More are not remembered, so that nobody fills the memory by coming and going.
_MOST = 32


@dataclass
class _Sender:
    first: float
    last: float
    frame_id: str


class Senders:
    """Times are seconds of the steady clock. Publishers are told apart by their gid, b'' where not known."""

    def __init__(self):
        self._heard: dict[bytes, _Sender] = {}
        self._names: dict[bytes, str] = {}
        self._several_since: float | None = None

    def note(self, publisher: bytes, message: Any, now: float) -> None:
        """Take note of a message."""
        header = getattr(message, 'header', message)  # CompressedVideo has the fields of one
        sender = self._heard.get(publisher)
        if sender is not None and now - sender.last < _SILENT:
            sender.last, sender.frame_id = now, plain(header.frame_id)
            return
        if len(self._heard) >= _MOST:
            self._heard = {gid: each for gid, each in self._heard.items() if now - each.last < _SILENT}
        if len(self._heard) < _MOST:
            self._heard[publisher] = _Sender(now, now, plain(header.frame_id))

    def listed(self, publishers: dict[bytes, str], now: float) -> None:
        """Take note of the publishers that there are: names of their nodes by gid."""
        self._names = publishers
        if len(publishers) < 2:
            self._several_since = None
        elif self._several_since is None:
            self._several_since = now

    def at_once(self, now: float) -> list[str]:
        """Return node and frame_id of each publisher that sends at the same time as another one."""
        alive = {gid: each for gid, each in self._heard.items() if now - each.last < _SILENT}
        if b'' in alive:
            lasting = self._several_since is not None and now - self._several_since > _LEASE
            return sorted(self._names.values()) if lasting else []
        found = [
            f"{self._names.get(gid, 'an unknown node')} (frame_id '{each.frame_id}')"
            for gid, each in alive.items()
            if any(_side_by_side(each, other) for other in alive.values() if other is not each)
        ]
        return sorted(found)


def full_name(info: Any) -> str:
    """Return the name of the node of an endpoint, with its namespace."""
    return f'{info.node_namespace.rstrip("/")}/{info.node_name}'


def _side_by_side(a: _Sender, b: _Sender) -> bool:
    return min(a.last, b.last) - max(a.first, b.first) > _HANDOVER
