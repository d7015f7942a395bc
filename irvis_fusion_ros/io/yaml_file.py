"""Reads the YAML files of users: calibrations, configurations of training, and descriptions of networks."""

from pathlib import Path
from typing import Any

import yaml

from irvis_fusion_ros.errors import FileError


def read(path: Path, what: str) -> Any:
    """Return the content of a YAML file; `what` names it for the user. Raises FileError."""
    try:
        return yaml.safe_load(Path(path).read_text(encoding='utf-8'))
    except OSError as error:
        raise FileError(f'{path}: {what} cannot be read ({error.strerror})') from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise FileError(f'{path}: not YAML: {" ".join(str(error).split())}') from error
