"""A video file as a folder of frames: each is an image that is read when it is wanted."""

import threading
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from irvis_fusion_ros.errors import FileError
from irvis_fusion_ros.io.image_header import MAX_PIXELS

_WIDTH, _HEIGHT = cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT
# A day at 100 Hz.
_MOST_FRAMES = 10_000_000
SUFFIXES = ('.mp4', '.mov', '.avi', '.mkv', '.m4v', '.webm', '.mpg', '.mpeg', '.ts')


class Video:
    """
    A video file. rate: frames per second. count: of frames, as the file says.

    Raises FileError if it cannot be read.
    """

    def __init__(self, path: Path):
        self.path = Path(path)
        if not self.path.is_file():
            raise FileError(f'{path}: no such file')
        self._capture = cv2.VideoCapture(str(self.path))
        self._next = 0
        self._lock = threading.Lock()
        self.rate = self._capture.get(cv2.CAP_PROP_FPS)
        self.count = int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        if not self._capture.isOpened() or not 0 < self.rate < 1e6 or not 0 < self.count < _MOST_FRAMES:
            raise FileError(f'{path}: not a video that can be read')
        width, height = (int(self._capture.get(key)) for key in (_WIDTH, _HEIGHT))
        if width * height > MAX_PIXELS:
            raise FileError(f'{path}: its frames are {width}x{height}; at most {MAX_PIXELS} pixels are read')

    def read(self, number: int) -> np.ndarray:
        """Return a frame, H x W x 3 BGR; in order it is fast. Raises FileError."""
        with self._lock:
            if number < self._next:
                self._capture.set(cv2.CAP_PROP_POS_FRAMES, 0)
                self._next = 0
            while self._next < number and self._capture.grab():
                self._next += 1
            found, image = self._capture.read()
            self._next += 1
        if not found:
            raise FileError(f'{self.path}: its frame {number} cannot be read')
        return image


@dataclass(frozen=True)
class Frame:
    """A frame of a video, by its number from 0 on."""

    video: Video
    number: int

    @property
    def time(self) -> float:
        """Seconds since the first frame."""
        return self.number / self.video.rate

    def __str__(self) -> str:
        return f'{self.video.path} (frame {self.number})'


def is_video(path: Path) -> bool:
    """Say whether a file is a video, by its name."""
    return Path(path).suffix.lower() in SUFFIXES
