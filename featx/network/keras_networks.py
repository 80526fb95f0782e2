"""Networks of `keras.applications`: how each is built, and where it can be cut."""

from typing import Any

from .. import backend
from .sliced import Cuts, Sliced, by_name
from .steps import INPUT

__all__ = ["CONVNEXT_TINY", "EFFICIENTNET_V2_B0", "RESNET50"]

_SIZE = (None, None, 3)


def _build_resnet50() -> Any:
    return backend.keras().applications.ResNet50(include_top=False, weights=None, input_shape=_SIZE)


def _build_efficientnet_v2_b0() -> Any:
    return backend.keras().applications.EfficientNetV2B0(
        include_top=False, weights=None, input_shape=_SIZE, include_preprocessing=False
    )


def _build_convnext_tiny() -> Any:
    return backend.keras().applications.ConvNeXtTiny(
        include_top=False, weights=None, input_shape=_SIZE, include_preprocessing=False
    )


#: The blocks of ResNet50: number in each stage, channels, and how many times smaller.
_STAGES = {2: (3, 256, 4), 3: (4, 512, 8), 4: (6, 1024, 16), 5: (3, 2048, 32)}
_RESNET50: Cuts = {
    INPUT: (1, 3),
    "conv1_relu": (2, 64),
    "pool1_pool": (4, 64),
    **{
        f"conv{stage}_block{block}_out": (scale, channels)
        for stage, (count, channels, scale) in _STAGES.items()
        for block in range(1, count + 1)
    },
}

#: The last layers of EfficientNetV2-B0's blocks that have one of a kind.
_EFFICIENTNET_V2_B0: Cuts = {
    INPUT: (1, 3),
    "stem_activation": (2, 32),
    "block1a_project_activation": (2, 16),
    "block2b_add": (4, 32),
    "block3b_add": (8, 48),
    "block4c_add": (16, 96),
    "block5e_add": (16, 112),
    "block6h_add": (32, 192),
    "top_activation": (32, 1280),
}

#: ConvNeXt-Tiny's stages, named as its paper counts them.
_CONVNEXT_TINY: Cuts = {
    INPUT: (1, 3),
    "stem": (4, 96),
    "stage1": (4, 96),
    "stage2": (8, 192),
    "stage3": (16, 384),
    "stage4": (32, 768),
}


def _find_stages(model: Any) -> dict[str, Any]:
    """Find ConvNeXt's stages, whose last layers are sums that have no names."""
    found = {"stem": model.get_layer("convnext_tiny_stem").output}
    for number in range(3):
        after = model.get_layer(f"convnext_tiny_downsampling_block_{number}")
        found[f"stage{number + 1}"] = after.input
    return {**found, "stage4": model.output}


#: name in the table → cuts, and how they are applied.
RESNET50 = _RESNET50, Sliced(_build_resnet50, by_name(_RESNET50))
EFFICIENTNET_V2_B0 = (
    _EFFICIENTNET_V2_B0,
    Sliced(_build_efficientnet_v2_b0, by_name(_EFFICIENTNET_V2_B0)),
)
CONVNEXT_TINY = _CONVNEXT_TINY, Sliced(_build_convnext_tiny, _find_stages)
