"""
What is found as messages of vision_msgs, or of visualization_msgs, whichever is installed.

Neither is needed: detections/json says the same.
"""

from collections.abc import Callable, Sequence
from typing import Any

from std_msgs.msg import Header

from irvis_fusion_ros.detection.detector import Detections

Maker = Callable[[Header, Detections, Sequence[float | None]], Any]


def array_of() -> tuple[Maker | None, type | None]:
    """Return what makes the message of detections, and its type; None twice where no package has one."""
    try:
        from vision_msgs.msg import Detection2DArray
    except ImportError:
        pass
    else:
        return _vision, Detection2DArray
    try:
        from visualization_msgs.msg import ImageMarker
    except ImportError:
        return None, None
    return _marker, ImageMarker


def _vision(header: Header, found: Detections, degrees: Sequence[float | None]) -> Any:
    """vision_msgs/Detection2DArray; `id` of a detection is its highest temperature, where that is known."""
    from vision_msgs.msg import Detection2D, Detection2DArray, ObjectHypothesisWithPose

    message = Detection2DArray(header=header)
    for box, score, name, hottest in zip(found.boxes, found.scores, found.names, degrees, strict=True):
        x1, y1, x2, y2 = (float(v) for v in box)
        hypothesis = ObjectHypothesisWithPose()
        hypothesis.hypothesis.class_id = name
        hypothesis.hypothesis.score = float(score)
        detection = Detection2D(header=header, results=[hypothesis])
        detection.bbox.center.position.x, detection.bbox.center.position.y = (x1 + x2) / 2, (y1 + y2) / 2
        detection.bbox.size_x, detection.bbox.size_y = x2 - x1, y2 - y1
        detection.id = '' if hottest is None else f'{hottest:.2f} C'
        message.detections.append(detection)
    return message


def _marker(header: Header, found: Detections, degrees: Sequence[float | None]) -> Any:
    """visualization_msgs/ImageMarker: the sides of all boxes, as viewers lay them over an image."""
    from geometry_msgs.msg import Point
    from visualization_msgs.msg import ImageMarker

    message = ImageMarker(header=header, type=ImageMarker.LINE_LIST, action=ImageMarker.ADD, scale=1.0)
    message.outline_color.g = message.outline_color.a = 1.0
    for box in found.boxes:
        x1, y1, x2, y2 = (float(v) for v in box)
        corners = [Point(x=x, y=y) for x, y in ((x1, y1), (x2, y1), (x2, y2), (x1, y2))]
        for corner, following in zip(corners, corners[1:] + corners[:1], strict=True):
            message.points += [corner, following]
    return message
