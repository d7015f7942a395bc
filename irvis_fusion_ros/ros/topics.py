"""
The names of the topics and services of the node, for whatever sends, reads, remaps or documents them.

Imports nothing: every floor and the documentation may read it.
"""

from dataclasses import dataclass

IMAGE = 'sensor_msgs/msg/Image'
COMPRESSED_IMAGE = 'sensor_msgs/msg/CompressedImage'
COMPRESSED_VIDEO = 'foxglove_msgs/msg/CompressedVideo'
CAMERA_INFO = 'sensor_msgs/msg/CameraInfo'

FUSED = 'fused/image'
FUSED_COMPRESSED = 'fused/image/compressed'
FUSED_INFO = 'fused/camera_info'
REGISTERED = 'registered/image'
REGISTERED_INFO = 'registered/camera_info'
DEFORMATION = 'deformation/image'
DEFORMATION_COLOR = 'deformation/image_color'
DEFORMATION_FUSED = 'deformation_fused/image'
MISREGISTRATION = 'misregistration/image'
VALID = 'valid_mask/image'
DIAGNOSTICS = '/diagnostics'
ENABLE = '~/enable'
RESET = '~/reset'
CALIBRATE = '~/calibrate'
SAVE_CALIBRATION = '~/save_calibration'
# Of a synthetic flight; the node neither sends nor reads it.
TRUTH = 'truth/deformation'

# The output of the predictor (fusion_result.OUTPUTS) that each topic is made of.
OUTPUT_OF = {
    FUSED: 'fused',
    FUSED_COMPRESSED: 'fused',
    REGISTERED: 'registered',
    DEFORMATION: 'deformation',
    DEFORMATION_COLOR: 'deformation',
    DEFORMATION_FUSED: 'deformation_fused',
    MISREGISTRATION: 'misregistration',
    VALID: 'valid',
}
# The encodings of those topics that carry an output as it is, whatever the cameras and the parameters.
ENCODINGS = {
    DEFORMATION: '32FC2',
    DEFORMATION_FUSED: '32FC2',
    MISREGISTRATION: '32FC1',
    VALID: 'mono8',
}


def image_of(camera: str) -> str:
    """Return the topic of the raw images of a camera, 'thermal' or 'visible'."""
    return f'{camera}/image_raw'


def compressed_of(camera: str) -> str:
    """Return the topic of the compressed images of a camera."""
    return f'{image_of(camera)}/compressed'


def video_of(camera: str) -> str:
    """Return the topic of the images of a camera as a video."""
    return f'{image_of(camera)}/h264'


def info_of(camera: str) -> str:
    """Return the topic of the CameraInfo of a camera, beside its images."""
    return f'{camera}/camera_info'


def absolute(name: str) -> str:
    """Return the full name of a topic where the node has no namespace, as in a recording of it."""
    return name if name.startswith('/') else f'/{name}'


@dataclass(frozen=True)
class Topic:
    """A topic or service: name (relative unless it begins with / or ~), type, and what it carries."""

    name: str
    type: str
    description: str


def _camera(name: str) -> tuple[Topic, ...]:
    used = 'published again beside the outputs; ' if name == 'visible' else ''
    return (
        Topic(image_of(name), IMAGE, f'The {name} image, if {name}.transport is raw.'),
        Topic(compressed_of(name), COMPRESSED_IMAGE, 'The same, if it is compressed.'),
        Topic(video_of(name), COMPRESSED_VIDEO, 'The same, if it is h264; needs foxglove_msgs and PyAV.'),
        Topic(
            info_of(name),
            CAMERA_INFO,
            f'Optional; {used}registers only if calibration.source is camera_info.',
        ),
    )


SUBSCRIBED = (*_camera('thermal'), *_camera('visible'))

PUBLISHED = (
    Topic(FUSED, IMAGE, 'The fused image in output_encoding.'),
    Topic(FUSED_COMPRESSED, COMPRESSED_IMAGE, 'The same as JPEG or PNG.'),
    Topic(FUSED_INFO, CAMERA_INFO, 'CameraInfo of the visible camera, for the fused image.'),
    Topic(
        REGISTERED,
        IMAGE,
        'The thermal image on the visible grid: its own encoding and values, 0 where it does not reach.',
    ),
    Topic(REGISTERED_INFO, CAMERA_INFO, 'The same CameraInfo, for the registered image.'),
    Topic(
        DEFORMATION,
        IMAGE,
        '32FC2, (dx, dy) in visible pixels: registered(x, y) = thermal(x + dx, y + dy); NaN outside the '
        'thermal image, 0 where nothing registers it.',
    ),
    Topic(
        DEFORMATION_COLOR,
        IMAGE,
        'bgr8, the same to look at: hue is the direction, saturation the length, black is outside.',
    ),
    Topic(
        DEFORMATION_FUSED,
        IMAGE,
        '32FC2, with preset fusion_register only: the mean displacement (dx, dy) in pixels by which it moved '
        'the fused image, its (2M - 1) phi; NaN outside that.',
    ),
    Topic(
        MISREGISTRATION,
        IMAGE,
        '32FC1 from 0 to 1, with preset fusion_register only: where it found the fused image misaligned, its '
        'M. 0.5 leaves a pixel where it is, 1 moves it by all of phi.',
    ),
    Topic(VALID, IMAGE, 'mono8, 255 where the registered image can be believed, else 0.'),
    Topic(
        DIAGNOSTICS,
        'diagnostic_msgs/msg/DiagnosticArray',
        'Health of inputs, pairing, inference and output.',
    ),
)

SERVICES = (
    Topic(ENABLE, 'std_srvs/srv/SetBool', 'false unsubscribes from the cameras, true subscribes again.'),
    Topic(
        RESET,
        'std_srvs/srv/Trigger',
        'Forgets earlier frames: alignment, gain control, waiting images, and what was gathered of the rig.',
    ),
    Topic(
        CALIBRATE,
        'std_srvs/srv/Trigger',
        'Starts to measure the rig from the images that come; called again, says how far that is.',
    ),
    Topic(
        SAVE_CALIBRATION,
        'std_srvs/srv/Trigger',
        'Writes the rig that was measured to calibration.file, or, if that is empty, to '
        '~/.ros/irvis_fusion_ros/NODE.yaml (ROS_HOME moves it); says where.',
    ),
)
