"""
The Fast DDS profile: without it, shared memory is smaller than an image and most images are lost.

Needs no ROS. Has to be applied before rclpy is imported, by publishers as well as by subscribers.
"""

import os
from pathlib import Path

from irvis_fusion_ros import share

# Fast DDS 3 reads the first, Fast DDS 2 (Humble, Jazzy) the second. Both are set, because nothing tells the
# version before rclpy is imported: the wheels from PyPI set no ROS_DISTRO. Kilted warns that the second is
# deprecated, and takes the profile all the same.
VARIABLES = ('FASTDDS_DEFAULT_PROFILES_FILE', 'FASTRTPS_DEFAULT_PROFILES_FILE')
_PLACE = Path('config', 'fastdds.xml')


def apply() -> Path | None:
    """
    Point Fast DDS to the project's profile, unless the user chose one, and return the file in use.

    A profile that the user names in one of the variables is used by either version of Fast DDS.
    None means that there is no profile: neither installed nor in a source tree.
    """
    chosen = next(filter(None, map(os.environ.get, VARIABLES)), None) or find()
    if chosen is None:
        return None
    for variable in VARIABLES:
        os.environ[variable] = os.environ.get(variable) or str(chosen)
    return Path(chosen)


def find() -> Path | None:
    """Return the profile of the source tree or of the installation, None if it came without one."""
    try:
        profile = share.folder() / _PLACE
    except FileNotFoundError:
        return None
    return profile if profile.is_file() else None
