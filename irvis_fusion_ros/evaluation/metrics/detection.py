"""
How many of the people in a picture a detector finds, and how often it finds somebody who is not there.

Boxes are N x 4, x1 y1 x2 y2 in pixels of the picture. A false alarm is what lies on no drawn box: where not
everybody is drawn, some are right.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from irvis_fusion_ros.detection import boxes as box_tools

# Intersection over union from which on a detection is of a person.
OVERLAP = 0.3
# Score from which on detections are kept for comparisons at equal false alarms.
LEAST = 0.05


@dataclass(frozen=True)
class Found:
    """
    What a detector found in one picture.

    people: the score at which each drawn person is found, 0 for who is not. alarms: scores of what lies on
    none.
    """

    people: np.ndarray
    alarms: np.ndarray


def found(boxes: np.ndarray, scores: np.ndarray, drawn: np.ndarray) -> Found:
    """Give each detection, best first, to the drawn person that it overlaps most and none has found yet."""
    people = np.zeros(len(drawn))
    alarms = []
    shared = box_tools.overlap(np.reshape(boxes, (-1, 4)), np.reshape(drawn, (-1, 4)))
    for index in np.argsort(-scores, kind='stable'):
        row = shared[index]
        free = np.where(people > 0, 0, row)
        if free.size and free.max() >= OVERLAP:
            people[int(free.argmax())] = scores[index]
        # a second box on somebody found is no false alarm
        elif not row.size or row.max() < OVERLAP:
            alarms.append(float(scores[index]))
    return Found(people, np.array(alarms))


def either(first: Found, second: Found) -> Found:
    """Return what is found when two pictures of one scene are both looked at."""
    return Found(np.maximum(first.people, second.people), np.concatenate([first.alarms, second.alarms]))


def recall(pictures: Sequence[Found], score: float) -> float:
    """Return the share of drawn people that are found at `score`."""
    people = np.concatenate([each.people for each in pictures])
    return float((people >= score).mean()) if people.size else float('nan')


def false_alarms(pictures: Sequence[Found], score: float) -> float:
    """Return the mean number of false alarms in a picture at `score`."""
    return float(np.mean([(each.alarms >= score).sum() for each in pictures]))


def score_of(pictures: Sequence[Found], alarms: float) -> float:
    """Return the least score at which pictures have no more than so many false alarms each, in the mean."""
    scores = np.sort(np.concatenate([each.alarms for each in pictures]))[::-1]
    allowed = int(np.floor(alarms * len(pictures) + 1e-9))
    if allowed >= len(scores):
        return LEAST
    # just above the first one too many
    return float(np.nextafter(scores[allowed], np.inf))
