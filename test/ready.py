"""Presets that come with all they need."""

from irvis_fusion_ros.io import weights
from irvis_fusion_ros.systems import registry

WITHOUT_WEIGHTS = ('classical', 'unregistered')
READY = [name for name in registry.PRESETS if name in WITHOUT_WEIGHTS or weights.file_of(name).exists()]
