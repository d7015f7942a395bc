"""The predictor that the parameters of the node ask for, and what its calibration adds to them; no ROS."""

from dataclasses import replace

from irvis_fusion_ros import calibration
from irvis_fusion_ros.calibration import ClockOffset
from irvis_fusion_ros.imaging.scene_margins import roi_of
from irvis_fusion_ros.predictor import Predictor
from irvis_fusion_ros.ros.options import NodeConfig


def build_predictor(config: NodeConfig) -> Predictor:
    """
    Return a predictor that is ready to run.

    Raises ValueError, naming the parameter or the file, for what cannot be had.
    """
    fixed = calibration.load(config.calibration.file) if config.calibration.source == 'file' else None
    predictor = Predictor(
        config.system(),
        calibration=fixed,
        refine=config.calibration.refine,
        tone=config.thermal,
        depth=config.visible,
        gray=config.output_encoding == 'mono8',
        targets=config.targets,
        highlight=config.highlight,
        thermal_roi=roi_of(config.thermal.roi),
        visible_roi=roi_of(config.visible.roi),
    )
    # what is exported is for the size of the camera, which is not known yet
    if predictor.backend == 'torch':
        predictor.warm_up()
    return predictor


def clock_of(config: NodeConfig, predictor: Predictor) -> ClockOffset | None:
    """Return the clock offset that the calibration file of a predictor states, if there is one."""
    return predictor.calibration.clock if config.calibration.source == 'file' else None


def with_clock(config: NodeConfig, clock: ClockOffset | None) -> NodeConfig:
    """Return the parameters with this clock offset, unless they state one themselves."""
    if clock is None or config.sync.thermal_offset:
        return config
    return replace(config, sync=replace(config.sync, thermal_offset=clock.seconds))
