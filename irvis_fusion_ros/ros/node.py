"""
The node: lifecycle, parameters and timers around cameras -> pairing -> worker -> outputs.

Entry point and process set-up are in fusion_node.py.
"""

import functools
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from std_srvs.srv import SetBool, Trigger

from irvis_fusion_ros.calibration import Calibration, ClockOffset
from irvis_fusion_ros.errors import FileError
from irvis_fusion_ros.imaging.scene_margins import roi_of
from irvis_fusion_ros.pairing import STREAMS, NearestPairing, Pair, Pairing
from irvis_fusion_ros.ros import qos, topics
from irvis_fusion_ros.ros.build import build_predictor, clock_of, with_clock
from irvis_fusion_ros.ros.camera import Camera
from irvis_fusion_ros.ros.filters import UpstreamPairing, stamp_of
from irvis_fusion_ros.ros.gatherer import Gatherer, state_file
from irvis_fusion_ros.ros.health import Health
from irvis_fusion_ros.ros.options import NodeConfig
from irvis_fusion_ros.ros.outputs import Outputs
from irvis_fusion_ros.ros.parameters import Parameters
from irvis_fusion_ros.ros.pipeline import Pipeline
from irvis_fusion_ros.ros.rivals import Rivals
from irvis_fusion_ros.ros.throttle import WarningThrottle, described
from irvis_fusion_ros.ros.watch import Watch
from irvis_fusion_ros.ros.worker import Everything, Newest, Worker

NAME = 'fusion_node'
TICK = 0.1  # seconds between looks at publishers, time-outs and silent cameras
# Realtime wants the newest images; a little depth bridges the moments in which Python does something else.
# every_frame must not lose one while a slow subscriber or this process is busy.
_DEPTHS = {'realtime': (5, 5), 'every_frame': (1000, 1000)}
# Bytes of images that may wait for a partner in realtime: ten pairs of the largest that the defaults allow.
_WAITING_BYTES = 1 << 30


class FusionNode(LifecycleNode):
    """Fuses two camera streams; see README.md for topics, parameters and services."""

    def __init__(self, **options):
        super().__init__(NAME, **options)
        self._forget_parts()
        self._health: Health | None = None
        self._watch: Watch | None = None
        self._timers_active: list = []
        self._enabled = True
        self._throttle = WarningThrottle(self.get_logger())
        self._options = Parameters(self, self._apply, lambda: self._pipeline is not None)
        # not the node's clock: with simulated time it stands still when warnings are needed most
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._diagnostics = self.create_publisher(
            DiagnosticArray,
            topics.DIAGNOSTICS,
            qos.profile(10, reliable=True),
            qos_overriding_options=qos.options(self, topics.DIAGNOSTICS, 'publisher'),
        )
        self.create_service(SetBool, topics.ENABLE, self._enable)
        self.create_service(Trigger, topics.RESET, self._reset)
        self.create_service(Trigger, topics.CALIBRATE, self._calibrate)
        self.create_service(Trigger, topics.SAVE_CALIBRATION, self._save_calibration)

    @property
    def config(self) -> NodeConfig:
        """The parameters in force; the clock offset may be that of the calibration file."""
        return with_clock(self._options.config, self._rig_clock)

    def start(self) -> bool:
        """Configure and activate; False, with the reason in the log, if that fails."""
        return (
            self.trigger_configure() == TransitionCallbackReturn.SUCCESS
            and self.trigger_activate() == TransitionCallbackReturn.SUCCESS
        )

    def stop(self) -> None:
        """End all work, in whatever state the node is."""
        self._go_inactive()
        self._take_down()

    def survive(self, error: Exception) -> None:
        """Tell of an error that came out of a callback; the node goes on."""
        key = ('callback', type(error).__name__)
        self._throttle.warn(key, f'a callback failed: {described(error)}')

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load what the parameters ask for, and advertise the outputs."""
        return self._attempt('configure', self._set_up, self._take_down)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribe and start to work."""
        return self._attempt('activate', self._go_active, self._go_inactive)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unsubscribe and stop."""
        return self._attempt('deactivate', self._go_inactive, lambda: None)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Give everything back."""
        return self._attempt('clean up', self._take_down, lambda: None)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Give everything back for good."""
        return self._attempt('shut down', self.stop, lambda: None)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Go back to unconfigured."""
        return self._attempt('recover', self.stop, lambda: None)

    def _attempt(
        self, what: str, action: Callable[[], None], undo: Callable[[], None]
    ) -> TransitionCallbackReturn:
        # rclpy would swallow what is raised
        try:
            action()
        except Exception as error:
            text = str(error) if isinstance(error, ValueError) else described(error)
            self.get_logger().error(f'cannot {what}: {text}')
            undo()
            return TransitionCallbackReturn.FAILURE
        return TransitionCallbackReturn.SUCCESS

    def _set_up(self) -> None:
        predictor = build_predictor(self.config)
        self._rig = predictor.calibration
        self._rig_clock = clock_of(self.config, predictor)
        config = self.config
        depth_in, depth_out = _DEPTHS[config.mode]
        self._pairing = self._make_pairing(config)
        self._cameras = {
            name: Camera(
                self,
                name,
                transport=getattr(config, name).transport,
                depth=depth_in,
                max_pixels=lambda: self.config.limits.max_pixels,
                on_image=self._on_image,
                throttle=self._throttle,
            )
            for name in STREAMS
        }
        outputs = Outputs(self, depth_out, self._throttle)
        self._pipeline = Pipeline(
            predictor,
            outputs,
            self._cameras,
            lambda: self.config,
            lambda: self.get_clock().now().nanoseconds,
            self._throttle,
            # what was gathered is of where the cameras were before
            on_jump=lambda: self._gatherer.forget(),
        )
        self._worker = Worker(
            functools.partial(_make_queue, config), self._pipeline.process, self._on_worker_error
        )

        rois = roi_of(config.thermal.roi), roi_of(config.visible.roi)
        self._gatherer = Gatherer(
            config.thermal, config.visible, self._on_rig, self._on_worker_error, rois=rois
        )

    def _take_down(self) -> None:
        if self._pipeline is not None:
            self._pipeline.outputs.destroy()
        self._forget_parts()

    def _forget_parts(self) -> None:
        # all of them: each may hold on to the predictor and its memory on the device
        self._pipeline: Pipeline | None = None
        self._rig: Calibration | None = None  # that of the file
        self._rig_clock: ClockOffset | None = None
        self._worker: Worker | None = None
        self._pairing: Pairing | None = None
        self._gatherer: Gatherer | None = None
        self._cameras: dict[str, Camera] = {}

    def _go_active(self) -> None:
        now = time.monotonic()
        name = self.get_fully_qualified_name()
        rivals = Rivals(self, self._pipeline.outputs.names)
        self._watch = Watch(self._cameras, self._pairing, self._worker, rivals, now)
        parts = self._cameras, self._pairing, self._worker, self._pipeline, self._watch, self._gatherer
        self._health = Health(name, *parts, self._rig_clock)
        self._worker.start()
        self._gatherer.start()
        if self.config.calibration.refine and self.config.calibration.source == 'none':
            self._gatherer.begin()
        if self._enabled:
            self._open_cameras()
        else:
            self._watch.pause()
        self._timers_active = [
            self.create_timer(TICK, self._tick, clock=self._steady),
            self.create_timer(self.config.diagnostics.period, self._report, clock=self._steady),
        ]
        for parameter in qos.unused_overrides(self):
            self.get_logger().warning(f"parameter '{parameter}' names no topic of this node and is ignored")
        inputs = ' + '.join(camera.image.topic for camera in self._cameras.values())
        running = ', '.join(f'{name} {what}' for name, what in self._pipeline.predictor.running.items())
        self.get_logger().info(
            f'{self.config.mode}: {inputs} -> {self.resolve_topic_name(topics.FUSED)}; {running}'
        )
        if self.config.system().misses_gpu(self.config.device):
            self.get_logger().warning(
                f'torch finds no GPU to use: preset {self._pipeline.predictor.preset}, which is meant for '
                'one, runs on the CPU'
            )

    def _go_inactive(self) -> None:
        for timer in self._timers_active:
            self.destroy_timer(timer)
        self._timers_active = []
        if self._health is not None:
            self._close_cameras()
            self._worker.stop()
            self._gatherer.stop()
            self._health = self._watch = None

    def _open_cameras(self) -> None:
        for camera in self._cameras.values():
            camera.open()

    def _close_cameras(self) -> None:
        for camera in self._cameras.values():
            camera.close()
        self._pairing.reset()

    def _make_pairing(self, config: NodeConfig) -> Pairing:
        sync = config.sync
        if sync.policy != 'nearest':
            return UpstreamPairing(
                sync.policy,
                self._on_pair,
                tolerance=sync.tolerance,
                offset=sync.thermal_offset,
                queue_size=sync.queue_size,
            )
        realtime = config.mode == 'realtime'
        return NearestPairing(
            self._on_pair,
            tolerance=sync.tolerance,
            offset=sync.thermal_offset,
            timeout=sync.timeout,
            eager=realtime,
            give_up=realtime,
            max_waiting=sync.queue_size if realtime else None,
            max_bytes=_waiting_bytes(config),
        )

    def _on_image(self, name: str, message: Any, arrival: float) -> None:
        self._gatherer.image(name, message)
        self._pairing.put(name, stamp_of(message), message, arrival, len(message.data))

    def _on_pair(self, pair: Pair) -> None:
        self._worker.submit(pair)  # which is made after the pairing
        self._gatherer.pair(pair)

    def _on_worker_error(self, error: Exception) -> None:
        if self.context.ok():  # else it is the end of the process that interrupted a frame
            key = ('error', type(error).__name__)
            self._throttle.warn(key, f'a frame failed, the next one is taken: {described(error)}')

    def _tick(self) -> None:
        now = time.monotonic()
        if self._enabled:
            for camera in self._cameras.values():
                camera.check()
        self._pairing.poll(now)
        self._watch_for_missing(now)
        for key, text in self._watch.warnings(now):
            self._throttle.warn(key, text)
        reason = self._watch.no_pair_warning(now, self.config)
        if reason:
            self.get_logger().warning(reason)

    def _watch_for_missing(self, now: float) -> None:
        if self.config.on_missing == 'drop':
            return
        silent = [name for name in STREAMS if self._watch.silent_for(name, now) > self.config.missing_after]
        if len(silent) == 1 and self._pairing.absent != silent[0]:
            self._pairing.set_absent(silent[0])
            self._throttle.warn(
                ('missing', silent[0]), f'{silent[0]} camera is missing: the other one passes'
            )

    def _report(self) -> None:
        clock = self.get_clock().now()
        message = DiagnosticArray()
        message.header.stamp = clock.to_msg()
        message.status = self._health.statuses(clock.nanoseconds / 1e9, time.monotonic(), self.config)
        self._diagnostics.publish(message)

    def _enable(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        changed, self._enabled = request.data != self._enabled, request.data
        if changed and self._health is not None:
            if request.data:
                self._open_cameras()
                self._watch.resume(time.monotonic())
            else:
                self._close_cameras()
                self._watch.pause()
        response.success = True
        response.message = f'{"enabled" if request.data else "disabled"}{"" if changed else " already"}'
        return response

    def _reset(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success = self._health is not None
        if response.success:
            self._pairing.reset()
            self._gatherer.forget()
            self._worker.between_frames(lambda: self._pipeline.use_rig(self._rig))
            self._worker.between_frames(self._pipeline.reset)
        response.message = 'earlier frames are forgotten' if response.success else 'the node is not active'
        return response

    def _calibrate(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success = self._health is not None
        if not response.success:
            response.message = 'the node is not active'
        elif self._gatherer.active:
            response.message = self._gatherer.progress()
        else:
            self._gatherer.begin()
            response.message = (
                'the rig is measured from now on: fly some turns, near and far; call this again to see how '
                'far it is, and ~/save_calibration when that is enough'
            )
        return response

    def _save_calibration(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        if self._gatherer is None:
            response.success, response.message = False, 'the node is not configured'
            return response
        path = Path(self.config.calibration.file or state_file(self.get_fully_qualified_name()))
        try:
            response.message = self._gatherer.save(path)
        except FileError as error:
            response.message = str(error)
        else:
            response.success = True
        return response

    def _on_rig(self, rig: Calibration) -> None:
        if self.config.calibration.refine and self.config.calibration.source != 'camera_info':
            self._worker.between_frames(lambda: self._pipeline.use_rig(rig))

    def _apply(self, old: NodeConfig, new: NodeConfig) -> None:
        """Take over changed parameters while configured; raises ValueError for what cannot be had."""
        if self._pipeline is None:
            return
        pipeline, new = self._pipeline, with_clock(new, self._rig_clock)
        if _system(old) != _system(new):
            predictor = build_predictor(new)
            self._worker.between_frames(lambda: pipeline.replace_predictor(predictor))
        else:
            if old.thermal != new.thermal:
                self._worker.between_frames(lambda: pipeline.predictor.set_tone(new.thermal))
            if old.visible != new.visible:
                self._worker.between_frames(lambda: pipeline.predictor.set_depth(new.visible))
            if (old.targets, old.highlight) != (new.targets, new.highlight):
                self._worker.between_frames(
                    lambda: pipeline.predictor.set_targets(new.targets, new.highlight)
                )
            if (old.thermal.roi, old.visible.roi) != (new.thermal.roi, new.visible.roi):
                rois = roi_of(new.thermal.roi), roi_of(new.visible.roi)
                self._worker.between_frames(lambda: pipeline.predictor.set_rois(*rois))
                self._gatherer.set_rois(*rois)
        if old.output_encoding != new.output_encoding:
            self._worker.between_frames(lambda: pipeline.set_gray(new.output_encoding == 'mono8'))
        realtime = new.mode == 'realtime'
        self._worker.set_limit(new.realtime.max_age if realtime else new.every_frame.max_queue_bytes)
        self._pairing.configure(
            tolerance=new.sync.tolerance,
            offset=new.sync.thermal_offset,
            timeout=new.sync.timeout,
            max_bytes=_waiting_bytes(new),
        )
        if new.on_missing == 'drop':
            self._pairing.set_absent(None)


def _system(config: NodeConfig) -> tuple[str, ...]:
    """What another predictor has to be built for."""
    return config.preset, config.backbone, config.registration_first, config.device, config.backend


def _waiting_bytes(config: NodeConfig) -> int:
    """Return how many bytes of images may wait for a partner."""
    return _WAITING_BYTES if config.mode == 'realtime' else config.every_frame.max_queue_bytes


def _make_queue(config: NodeConfig, counts: Counter) -> Newest | Everything:
    if config.mode == 'realtime':
        return Newest(config.realtime.max_age, counts)
    return Everything(config.every_frame.max_queue_bytes, counts)
