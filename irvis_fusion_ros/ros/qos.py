"""Quality of service: what the node asks for and offers, and what the user overrides."""

from collections.abc import Callable
from typing import Any

import rclpy.subscription
from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSPolicyKind, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions

try:
    from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import PublisherEventCallbacks, SubscriptionEventCallbacks

# Whether callbacks can be told the number of a message: everywhere but on Humble.
# Jazzy tells it, too, though it does not have the class `MessageInfo` yet.
GIVES_MESSAGE_INFO = hasattr(rclpy.subscription.Subscription, 'CallbackType')
PREFIX = 'qos_overrides.'
_POLICIES = ('HISTORY', 'DEPTH', 'RELIABILITY', 'DURABILITY')


def profile(depth: int, *, reliable: bool) -> QoSProfile:
    """Return keep-last of this depth."""
    reliability = ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT
    return QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=depth, reliability=reliability)


def overridden(node: Node, topic: str, endpoint: str, policy: str) -> bool:
    """Say whether the user set a policy of a topic (full name). endpoint: subscription or publisher."""
    return f'{PREFIX}{topic}.{endpoint}.{policy}' in node._parameter_overrides


def options(node: Node, topic: str, endpoint: str) -> QoSOverridingOptions:
    """
    Return the overrides that the user set for an endpoint, and no others.

    rclpy declares each policy as a read-only parameter, once: policies that follow the mode or the publishers
    could not change any more.
    """
    kinds = [QoSPolicyKind[p] for p in _POLICIES if overridden(node, topic, endpoint, p.lower())]
    return QoSOverridingOptions(kinds)


def unused_overrides(node: Node) -> list[str]:
    """Return the parameters of the user that name no endpoint of the node."""
    return [
        name for name in node._parameter_overrides if name.startswith(PREFIX) and not node.has_parameter(name)
    ]


def name_beside(node: Node, relative: str, base: str, beside: str) -> str:
    """
    Return the topic that belongs to an image topic, as image_transport finds it.

    relative: its own relative name; where that is remapped, the remapping holds. Else it follows `base`, the
    relative name of the image, wherever that is remapped to. beside: 'sibling' (camera_info) or 'below'
    (compressed).
    """
    own = node.resolve_topic_name(relative)
    if own != node.resolve_topic_name(relative, only_expand=True):
        return own
    image = node.resolve_topic_name(base)
    stem = image if beside == 'below' else image.rpartition('/')[0]
    return f'{stem}/{relative.rpartition("/")[2]}'


def subscription_events(
    incompatible: Callable[[Any], None], lost: Callable[[Any], None]
) -> SubscriptionEventCallbacks:
    """Return event callbacks for publishers with incompatible quality of service, and for lost messages."""
    return SubscriptionEventCallbacks(incompatible_qos=incompatible, message_lost=lost)


def publisher_events(incompatible: Callable[[Any], None]) -> PublisherEventCallbacks:
    """Return event callbacks that tell of subscriptions with incompatible quality of service."""
    return PublisherEventCallbacks(incompatible_qos=incompatible)
