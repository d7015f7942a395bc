"""The pictures of a run: a video for the browser and a contact sheet, before beside after."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from irvis_fusion_ros import cli
from irvis_fusion_ros.errors import BagError
from irvis_fusion_ros.imaging import color, deformation_color
from irvis_fusion_ros.imaging.tone import ThermalTone
from irvis_fusion_ros.io.bags import BagReader
from irvis_fusion_ros.ros import topics

# Stamps as times of video frames: a shutter gap is a pause of the video, too.
CLOCK = Fraction(1, 1000)
SHEET_ROWS = 5
SHEET_WIDTH = 400  # pixels of one picture
FONT = cv2.FONT_HERSHEY_SIMPLEX


@dataclass(frozen=True)
class Moment:
    """
    The images of one instant, all H x W x 3 uint8 of the visible size.

    field: the deformation, H x W x 2 float32 pixels; None where it was not recorded.
    """

    stamp: int
    visible: np.ndarray
    thermal: np.ndarray
    overlay: np.ndarray
    fused: np.ndarray
    field: np.ndarray | None


def video(flight: Path, outputs: Path, target: Path) -> None:
    """Write an H.264 video: inputs above, naive overlay and fused image below."""
    with av.open(str(target), 'w', options={'movflags': 'faststart'}) as container:
        stream = None
        for moment in shown(flight, outputs, 'video'):
            picture = np.vstack(
                [
                    np.hstack([_titled(moment.visible, 'visible'), _titled(moment.thermal, 'thermal')]),
                    np.hstack(
                        [_titled(moment.overlay, 'overlaid as they are'), _titled(moment.fused, 'fused')]
                    ),
                ]
            )
            if stream is None:
                start = moment.stamp
                stream = _stream(container, picture.shape)
            frame = av.VideoFrame.from_ndarray(picture, format='bgr24')
            frame.time_base = CLOCK
            frame.pts = round((moment.stamp - start) / 1e9 / CLOCK)
            container.mux(stream.encode(frame))
        if stream is None:
            raise BagError(f"bag '{outputs}' holds no fused image")
        container.mux(stream.encode())


def contact_sheet(flight: Path, outputs: Path, target: Path) -> None:
    """Write a PNG of instants of the flight: inputs, before, after and the field that was found."""
    moments = [moment for moment in shown(flight, outputs, 'contact sheet') if moment.field is not None]
    if not moments:
        raise BagError(f"bag '{outputs}' holds no deformation")
    chosen = np.linspace(0, len(moments) - 1, min(SHEET_ROWS, len(moments))).round().astype(int)
    # one scale of colour for all of them
    lengths = [np.linalg.norm(moments[index].field, axis=2) for index in chosen]
    largest = max(1.0, float(np.nanpercentile(lengths, 99)))
    cv2.imwrite(str(target), np.vstack([_row(moments[index], largest) for index in chosen]))


def _row(moment: Moment, largest: float) -> np.ndarray:
    titles = {
        'visible': moment.visible,
        'thermal': moment.thermal,
        'before: overlaid as they are': moment.overlay,
        'after: fused': moment.fused,
        'deformation found': deformation_color.colored(moment.field, largest),
    }
    height, width = moment.visible.shape[:2]
    size = (SHEET_WIDTH, round(height * SHEET_WIDTH / width))
    return np.hstack(
        [_titled(cv2.resize(image, size, interpolation=cv2.INTER_AREA), t) for t, image in titles.items()]
    )


def shown(flight: Path, outputs: Path, title: str) -> Iterator[Moment]:
    """Iterate the instants that were fused, in order."""
    stamps, thermals = thermal_images(flight)
    with BagReader(flight) as taken, BagReader(outputs) as made:
        fields = {each.stamp: each.image for each in made.images(topics.DEFORMATION)}
        total = made.topic(topics.FUSED).count
        visibles = taken.images(topics.image_of('visible'))
        for fused in cli.progress(made.images(topics.FUSED), total=total, desc=title, unit='image'):
            visible = next(each.image for each in visibles if each.stamp == fused.stamp)
            nearest = thermals[np.abs(stamps - fused.stamp).argmin()]
            thermal = cv2.resize(nearest, visible.shape[1::-1], interpolation=cv2.INTER_CUBIC)
            yield Moment(
                stamp=fused.stamp,
                visible=visible,
                thermal=cv2.cvtColor(thermal, cv2.COLOR_GRAY2BGR),
                overlay=cv2.addWeighted(
                    visible, 0.5, cv2.applyColorMap(thermal, cv2.COLORMAP_INFERNO), 0.5, 0
                ),
                fused=fused.image,
                field=fields.get(fused.stamp),
            )


def thermal_images(flight: Path) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return all thermal images as brightness, 8 bit, and their stamps."""
    tone, stamps, images = ThermalTone(), [], []
    with BagReader(flight) as bag:
        for recorded in bag.images(topics.image_of('thermal')):
            tone.update(recorded.image)
            stamps.append(recorded.stamp)
            images.append(color.to_byte(tone.apply(recorded.image)))
    return np.array(stamps), images


def _stream(container: av.container.OutputContainer, shape: tuple[int, ...]) -> av.VideoStream:
    # what every browser plays
    stream = container.add_stream(
        'libx264', options={'profile': 'baseline', 'preset': 'veryfast', 'crf': '23'}
    )
    stream.height, stream.width = (side - side % 2 for side in shape[:2])
    stream.pix_fmt = 'yuv420p'
    stream.time_base = stream.codec_context.time_base = CLOCK
    return stream


def _titled(image: np.ndarray, title: str) -> np.ndarray:
    titled = image.copy()
    (width, height), _ = cv2.getTextSize(title, FONT, 0.6, 1)
    cv2.rectangle(titled, (0, 0), (width + 20, height + 20), (0, 0, 0), cv2.FILLED)
    cv2.putText(titled, title, (10, height + 9), FONT, 0.6, (255, 255, 255), 1, cv2.LINE_AA)
    return titled
