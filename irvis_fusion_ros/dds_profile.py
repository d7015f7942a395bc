"""
The Fast DDS profile: without it, shared memory is smaller than an image and most images are lost.

Needs no ROS. Has to be applied before rclpy is imported, by publishers as well as by subscribers.
"""

import os
from pathlib import Path

from irvis_fusion_ros import share

# Fast DDS renamed it in version 3; Humble and Jazzy have version 2
VARIABLE = (
    'FASTRTPS_DEFAULT_PROFILES_FILE'
    if os.environ.get('ROS_DISTRO') in ('humble', 'jazzy')
    else 'FASTDDS_DEFAULT_PROFILES_FILE'
)
_PLACE = Path('config', 'fastdds.xml')


def apply() -> Path | None:
    """
    Point Fast DDS to the project's profile, unless the user chose one, and return the file in use.

    None means that there is no profile: neither installed nor in a source tree.
    """
    if not os.environ.get(VARIABLE):
        found = find()
        if found is None:
            return None
        os.environ[VARIABLE] = str(found)
    return Path(os.environ[VARIABLE])


def find() -> Path | None:
    """Return the profile of the source tree or of the installation, None if it came without one."""
    try:
        profile = share.folder() / _PLACE
    except FileNotFoundError:
        return None
    return profile if profile.is_file() else None
