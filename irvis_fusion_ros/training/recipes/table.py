"""The systems that `train` can train, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from irvis_fusion_ros import config, lazy

if TYPE_CHECKING:
    from irvis_fusion_ros.training.recipes.base import Recipe

_HERE = 'irvis_fusion_ros.training.recipes'
# Name: where to import the recipe from (lazy.load).
RECIPES: dict[str, str | type[Recipe]] = {
    'busref': f'{_HERE}.busref:BusReFRecipe',
    'fusion_register': f'{_HERE}.fusion_register:FusionRegisterRecipe',
    'cnn': f'{_HERE}.cnn:CnnRecipe',
    'swift': f'{_HERE}.swift:SwiftRecipe',
    'umf_cmgr': f'{_HERE}.umf_cmgr:UmfCmgrRecipe',
    'bsr': f'{_HERE}.bsr:BsrRecipe',
    'targets': f'{_HERE}.targets:TargetsRecipe',
}


def find(name: str) -> type[Recipe]:
    """Return the recipe of a system; raises ValueError, listing the valid names, for an unknown one."""
    if name not in RECIPES:
        raise ValueError(config.unknown('system', name, RECIPES))
    return lazy.load(RECIPES[name])
