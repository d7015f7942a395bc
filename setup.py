"""One tree for `pip install .` and `colcon build`; package.xml tells ROS the same (test/test_package.py)."""

from pathlib import Path

from setuptools import find_packages, setup

NAME = 'irvis_fusion_ros'
SHARE = f'share/{NAME}'
# resolved, because `colcon build --symlink-install` runs a link to this file
REPOSITORY = Path(__file__).resolve().parent
# ROS 2 without a distribution; x86-64 only
ROS_WHEELS = [
    'rclpy[fastrtps]',
    'sensor-msgs',
    'std-msgs',
    'std-srvs',
    'diagnostic-msgs',
    'lifecycle-msgs',
    'rosgraph-msgs',
    'rcl-interfaces',
    'builtin-interfaces',
    'ament-index-python',
    'rosidl-default-generators',
]


def files(folder: str) -> list[str]:
    """Files to install from a folder of the repository, relative to it: no caches, nothing hidden."""
    found = sorted((REPOSITORY / folder).iterdir())
    return [f'{folder}/{path.name}' for path in found if path.is_file() and not path.name.startswith('.')]


setup(
    name=NAME,
    version='0.1.0',
    description='Time-synchronises, registers and fuses a thermal and a visible camera.',
    long_description=(REPOSITORY / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    maintainer='irvis_fusion_ros maintainers',
    maintainer_email='maintainers@irvis-fusion-ros.example',
    keywords=['ROS', 'thermal', 'infrared', 'image fusion', 'image registration'],
    packages=find_packages(include=[NAME, f'{NAME}.*']),
    python_requires='>=3.10',
    install_requires=[
        'torch>=2.5',
        'numpy>=1.26',
        'opencv-python-headless',
        'kornia',
        'safetensors',
        'rosbags',
        'lz4',
        'backports.zstd; python_version < "3.14"',
        'PyYAML',
        'tqdm',
    ],
    extras_require={
        'ros': [f'ros-{name}' for name in ROS_WHEELS],
        'ros-jazzy': [f'ros-jazzy-{name}' for name in ROS_WHEELS],
        'onnx': ['onnx', 'onnxruntime', 'onnxscript'],
        'plots': ['matplotlib'],
        'video': ['av'],
        'fleet': ['ray'],
        'test': ['pytest', 'hypothesis', 'ruff>=0.17,<0.18', 'scikit-image', 'setuptools>=70.1'],
    },
    data_files=[
        ('share/ament_index/resource_index/packages', [f'resource/{NAME}']),
        (SHARE, ['package.xml', 'LICENSE']),
        (f'{SHARE}/launch', files('launch')),
        (f'{SHARE}/config', files('config')),
        (f'{SHARE}/models', files('models')),
        # pip ignores install_scripts of setup.cfg: `ros2 run` and `ros2 launch` find the executables as these
        (f'lib/{NAME}', files('launchers')),
    ],
    entry_points={'console_scripts': ['irvis = irvis_fusion_ros.irvis:main']},
    zip_safe=False,
)
