"""The topics and services of the node, for the code that makes them and for the documentation."""

from dataclasses import dataclass

IMAGE = 'sensor_msgs/msg/Image'
COMPRESSED_IMAGE = 'sensor_msgs/msg/CompressedImage'
CAMERA_INFO = 'sensor_msgs/msg/CameraInfo'


@dataclass(frozen=True)
class Topic:
    """A topic or service: name (relative unless it begins with / or ~), type, and what it carries."""

    name: str
    type: str
    description: str


def _camera(name: str) -> tuple[Topic, ...]:
    used = 'published again beside the outputs; ' if name == 'visible' else ''
    return (
        Topic(f'{name}/image_raw', IMAGE, f'The {name} image, if {name}.transport is raw.'),
        Topic(f'{name}/image_raw/compressed', COMPRESSED_IMAGE, 'The same, if it is compressed.'),
        Topic(
            f'{name}/camera_info',
            CAMERA_INFO,
            f'Optional; {used}registers only if calibration.source is camera_info.',
        ),
    )


SUBSCRIBED = (*_camera('thermal'), *_camera('visible'))

PUBLISHED = (
    Topic('fused/image', IMAGE, 'The fused image in output_encoding.'),
    Topic('fused/image/compressed', COMPRESSED_IMAGE, 'The same as JPEG or PNG.'),
    Topic('fused/camera_info', CAMERA_INFO, 'CameraInfo of the visible camera, for the fused image.'),
    Topic(
        'registered/image',
        IMAGE,
        'The thermal image on the visible grid: its own encoding and values, 0 where it does not reach.',
    ),
    Topic('registered/camera_info', CAMERA_INFO, 'The same CameraInfo, for the registered image.'),
    Topic(
        'deformation/image',
        IMAGE,
        '32FC2, (dx, dy) in visible pixels: registered(x, y) = thermal(x + dx, y + dy); NaN outside the '
        'thermal image. With preset fusion_register alone it is how the fused image was moved.',
    ),
    Topic(
        'deformation/image_color',
        IMAGE,
        'bgr8, the same to look at: hue is the direction, saturation the length, black is outside.',
    ),
    Topic('valid_mask/image', IMAGE, 'mono8, 255 where the registered image can be believed, else 0.'),
    Topic(
        '/diagnostics',
        'diagnostic_msgs/msg/DiagnosticArray',
        'Health of inputs, pairing, inference and output.',
    ),
)

SERVICES = (
    Topic('~/enable', 'std_srvs/srv/SetBool', 'false unsubscribes from the cameras, true subscribes again.'),
    Topic(
        '~/reset', 'std_srvs/srv/Trigger', 'Forgets earlier frames: alignment, gain control, waiting images.'
    ),
)
