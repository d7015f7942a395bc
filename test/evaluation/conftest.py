"""What tests of the command line and of the run below it share."""

import cv2
import pytest

from irvis_fusion_ros.data.synthetic import pair


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / 'data'
    (folder / 'ir').mkdir(parents=True)
    (folder / 'vi').mkdir()
    for seed in range(3):
        thermal, visible = pair(seed=seed)
        cv2.imwrite(str(folder / 'ir' / f'{seed}.png'), thermal)
        cv2.imwrite(str(folder / 'vi' / f'{seed}.png'), visible)
    return folder
