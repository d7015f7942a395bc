"""The card that loading weights requires, for those of a run."""

import hashlib
from pathlib import Path

from irvis_fusion_ros.io import atomic, weights


def write(folder: Path, system: str, data: str) -> None:
    """Write the card beside the weights of a system. data: what they were trained on."""
    path = folder / f'{system}{weights.SUFFIX}'
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    text = f'# {system}\n\n- **sha256** {digest}\n- **Data** {data}\n'
    atomic.write(path.with_suffix('.md'), text.encode())
