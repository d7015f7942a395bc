"""Why there is no pair: the sentence that a user needs at that moment."""

from collections import Counter
from dataclasses import dataclass, field

from irvis_fusion_ros.ros.options import TRANSPORTS

# Of the drops of the pairing, those that say what is wrong with the images themselves.
STAMP_CAUSES = {
    'zero_stamp': 'their stamps are zero: have the driver stamp them',
    'repeated': 'their stamps repeat: have the driver stamp each image anew',
    'late': 'their stamps go back a little, behind images that were paired already',
    'time_jump': 'their stamps are from before the clock of the other camera went back; where that was no '
    'bag loop, have both cameras stamp with one clock',
}

# Images that come late come seconds late; stamps that differ by more are of different clocks.
CLOCKS_DIFFER = 60.0
_PROFILE = 'Large images need the Fast DDS profile (config/fastdds.xml) in the process that publishes them'


@dataclass(frozen=True)
class Situation:
    """
    What is known of a camera since the last pair.

    received: messages. lost: messages that DDS lost. refused: causes, at the door and by their stamps.
    last_refusal: in words. other_topic: where images come that is not subscribed to. incompatible: a policy
    of the QoS.
    """

    name: str
    topic: str
    publishers: int
    received: int
    lost: int = 0
    refused: Counter = field(default_factory=Counter)
    last_refusal: str = ''
    incompatible: str = ''
    foreign_types: tuple[str, ...] = ()
    other_topic: str = ''
    other_transport: str = ''


def no_pair(
    cameras: list[Situation],
    *,
    lag: float | None,
    miss: float | None,
    tolerance: float,
    offset: float,
    timeout: float,
) -> str:
    """
    Say why there is no pair.

    lag: seconds that thermal stamps lag, with `offset` applied. miss: seconds to the nearest image of the
    other camera. None where not known. timeout: seconds that an image waits for its partner.
    """
    problems = [problem for camera in cameras if (problem := _problem(camera))]
    if problems:
        return '; '.join(problems)
    if lag is not None and abs(lag) > tolerance:
        later, earlier = ('thermal', 'visible') if lag > 0 else ('visible', 'thermal')
        reason = (
            f'{later} stamps lag {earlier} ones by {abs(lag):.3f} s (tolerance {tolerance:.3f} s): '
            f'set sync.thermal_offset to {offset + lag:.3f}'
        )
        if abs(lag) < timeout:
            return reason
        if abs(lag) > CLOCKS_DIFFER:
            return f'{reason}, or have both cameras stamp with one clock'
        # a clock that lags and images that come late look alike, but only these outlast the time-out
        return f'{reason}, or, if only the {later} images come late, raise sync.timeout above that'
    if miss is not None and miss > tolerance:
        return (
            f'the nearest stamps are {miss:.3f} s apart (tolerance {tolerance:.3f} s): '
            f'synchronise the cameras, or raise sync.tolerance'
        )
    return 'images of both cameras come, but none within the tolerance of another'


def _problem(camera: Situation) -> str | None:
    topic = f'{camera.name} topic {camera.topic}'
    if not camera.publishers and not camera.received:
        if camera.other_topic:
            if camera.other_transport in TRANSPORTS:
                remedy = f'set {camera.name}.transport to {camera.other_transport}'
            else:
                remedy = (
                    f'{camera.other_transport} is not read here; have it send {", ".join(TRANSPORTS)}, '
                    f'or run `ros2 run image_transport republish {camera.other_transport} raw`'
                )
            return f'{topic} has no publisher, but {camera.other_topic} has: {remedy}'
        if camera.foreign_types:
            return f'{topic} has no publisher of images, but of {", ".join(camera.foreign_types)}'
        return f'{topic} has no publisher: start the camera, or remap the topic'
    if not camera.received:
        if camera.incompatible:
            return (
                f'{topic} has a publisher, but its quality of service ({camera.incompatible}) is incompatible'
            )
        if camera.lost:
            return f'all {camera.lost} images on {topic} were lost on the way. {_PROFILE}'
        return f'{topic} has a publisher, but nothing arrives: does the camera send? {_PROFILE}'
    refused = sum(camera.refused.values())
    if refused < camera.received:
        return None
    cause = camera.refused.most_common(1)[0][0]
    words = STAMP_CAUSES.get(cause, camera.last_refusal.removeprefix(f'{camera.topic}: '))
    return f'all {camera.received} images on {topic} were refused: {words}'
