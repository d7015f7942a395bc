"""Small recordings of two cameras that move against each other."""

import cv2
import numpy as np

from irvis_fusion_ros.data.synthetic import pair
from irvis_fusion_ros.io import bags
from irvis_fusion_ros.offline.run import Run, Task
from irvis_fusion_ros.ros.options import NodeConfig

START = 1_700_000_000_000_000_000
STEP = 100_000_000
SHAPE = (96, 128)
CONFIG = NodeConfig(preset='classical', device='cpu')


def write(path, count=12, lost=(), broken=(), thermal_shape=SHAPE, thermal_start=START + 3_000_000):
    """
    Write a flight.

    lost: numbers of visible images that are missing, broken: of thermal ones cut short. thermal_start: stamp
    of the first thermal image.
    """
    thermal, visible = pair(SHAPE, seed=3)
    camera = bags.Intrinsics(SHAPE[::-1], np.diag([90.0, 90, 1]), np.zeros(5), np.eye(3), np.eye(3, 4))
    with bags.BagWriter(path) as bag:
        for number in range(count):
            stamp = START + number * STEP
            moved = np.roll(thermal, number // 3, 1)
            size = thermal_shape if number < count // 2 else SHAPE
            moved = cv2.resize(moved, size[::-1]).astype(np.uint16) * 30 + 7000
            if number in broken:
                moved = moved[:20, :20]
            at = thermal_start + number * STEP if thermal_start else 0
            bag.write_image('/thermal/image_raw', moved, 'mono16', at, 'lwir', stamp + 9_000_000)
            bag.write_camera_info('/visible/camera_info', camera, stamp, 'rgb', stamp + 1_000_000)
            if number not in lost:
                image = np.roll(visible, number // 3, 1)
                bag.write_image('/visible/image_raw', image, 'bgr8', stamp, 'rgb', stamp + 2_000_000)
            bag.write_image('/other', moved[:3, :4], 'mono16', stamp, 'x', stamp + 5_000_000)
    return path


def run(source, out, resume=False, stop_after=None, config=CONFIG, **options):
    """Fuse a bag, or a part of it as a run does that is killed; returns its summary and what was said."""
    said = []
    task = Task(source, out, config, **{'part_bytes': 200_000, **options})
    fusing = Run(task, said.append, resume)
    for number, _ in enumerate(fusing.records()):
        if number == stop_after:
            fusing.close()
            return None, said
    fusing.finish()
    fusing.close()
    return fusing.summary(), said


def contents(path):
    """Return the files of a bag."""
    return {file.name: file.read_bytes() for file in path.iterdir() if file.is_file()}
