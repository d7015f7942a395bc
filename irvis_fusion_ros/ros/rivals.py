"""Other nodes that publish on the topics of our outputs, so that subscribers get two pictures in turn."""

from collections.abc import Iterable

from rclpy.node import Node

from irvis_fusion_ros.ros.senders import full_name

_EVERY = 2.0  # seconds between two looks
# A node of our own name may be our predecessor: DDS lists a process that was killed for 20 s.
_LEASE = 30.0
_OTHER = 3.0


class Rivals:
    """topics: full names. Times are seconds of the steady clock."""

    def __init__(self, node: Node, topics: Iterable[str]):
        self._node = node
        self._topics = tuple(topics)
        self._looked = -_EVERY
        self._since: dict[tuple[str, str], float] = {}
        self._found = ''

    def found(self, now: float) -> str:
        """Return who else publishes, where, and the remedy, or ''; cheap, to be called often."""
        if now - self._looked >= _EVERY:
            self._looked = now
            self._found = self._look(now)
        return self._found

    def _look(self, now: float) -> str:
        ours = self._node.get_fully_qualified_name()
        there = set()
        for topic in self._topics:
            names = [full_name(info) for info in self._node.get_publishers_info_by_topic(topic)]
            if ours in names:
                names.remove(ours)
            there.update((topic, name) for name in names)
        self._since = {each: self._since.get(each, now) for each in there}
        patience = {name: _LEASE if name == ours else _OTHER for _, name in there}
        lasting = sorted(each for each, since in self._since.items() if now - since >= patience[each[1]])
        if not lasting:
            return ''
        topics = ', '.join(sorted({topic for topic, _ in lasting}))
        names = ', '.join(sorted({name for _, name in lasting}))
        return (
            f'{names} publishes on {topics} as well: subscribers get both in turn; stop it, or start one of '
            'the two in a namespace of its own (-r __ns:=/NAME)'
        )
