"""The systems that `train` can train, by name."""

from collections.abc import Callable

from irvis_fusion_ros.training.recipes.base import Recipe


def _bsr() -> type[Recipe]:
    from irvis_fusion_ros.training.recipes.bsr import BsrRecipe

    return BsrRecipe


def _busref() -> type[Recipe]:
    from irvis_fusion_ros.training.recipes.busref import BusReFRecipe

    return BusReFRecipe


def _cnn() -> type[Recipe]:
    from irvis_fusion_ros.training.recipes.cnn import CnnRecipe

    return CnnRecipe


def _fusion_register() -> type[Recipe]:
    from irvis_fusion_ros.training.recipes.fusion_register import FusionRegisterRecipe

    return FusionRegisterRecipe


def _swift() -> type[Recipe]:
    from irvis_fusion_ros.training.recipes.swift import SwiftRecipe

    return SwiftRecipe


def _umf_cmgr() -> type[Recipe]:
    from irvis_fusion_ros.training.recipes.umf_cmgr import UmfCmgrRecipe

    return UmfCmgrRecipe


# Each entry imports its recipe when it is asked for: networks are not loaded to print a list of names.
RECIPES: dict[str, Callable[[], type[Recipe]]] = {
    'busref': _busref,
    'fusion_register': _fusion_register,
    'cnn': _cnn,
    'swift': _swift,
    'umf_cmgr': _umf_cmgr,
    'bsr': _bsr,
}


def find(name: str) -> type[Recipe]:
    """Return the recipe of a system; raises ValueError, listing the valid names, for an unknown one."""
    if name not in RECIPES:
        raise ValueError(f"unknown system '{name}'; valid: {', '.join(RECIPES)}")
    return RECIPES[name]()
