"""The networks: a row for each, with its layers, its weights and its cost."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..errors import InputError, one_of
from . import efficientnet_lite, keras_networks, mobilenet, vgg16
from .downloads import Provider
from .providers import PROVIDERS
from .steps import INPUT, WHOLE, NoSteps, Steps

__all__ = [
    "DEFAULT",
    "FILE",
    "MAX_SIZE",
    "NETWORKS",
    "OUTPUT",
    "Network",
    "get_network",
    "network_of",
]

#: Pixels a side, at most: one image fills gigabytes in the first layers then.
MAX_SIZE = 4096

#: The network where none is named.
DEFAULT = "vgg16"

#: The name of a network that is a file of the user's own, and of its only layer.
FILE, OUTPUT = "file", "output"


@dataclass(frozen=True, eq=False)
class Network:
    """A row of the table of networks.

    Attributes
    ----------
    name : str
        Its key.
    title : str
        Its name, for people.
    paper : str
        Who described it.
    cuts : mapping
        Every layer at which it can be cut, in order, from `steps.INPUT`: name → (how many times
        smaller than the image, channels).
    pooled : tuple of str
        The layers that are pooled by default: `activations.PooledLayers`.
    gmac : float
        Multiply-accumulates of convolutions and dense layers for an image of 224 pixels, up to the
        last layer, in 1e9.
    steps : Steps
        How its layers are applied.
    providers : mapping
        Who provides weights: name → provider.
    preprocessing : tuple of str
        What its usual weights want, one for all or one for each provider.
    unfreeze : int
        How many of its last layers fine-tuning trains by default.
    has_half : bool
        Whether features in bfloat16 were measured to be as good as those in float32.
    features : tuple of int, optional
        Of the network of a file, the shape of what it gives for an image.
    """

    name: str
    title: str
    paper: str
    cuts: Mapping[str, tuple[int, int]]
    pooled: tuple[str, ...]
    gmac: float
    steps: Steps
    providers: Mapping[str, Provider]
    preprocessing: tuple[str, ...]
    unfreeze: int = 4
    has_half: bool = False
    features: tuple[int, int, int] | None = None

    @property
    def last(self) -> str:
        """The last layer, where it is cut by default."""
        return list(self.cuts)[-1]

    def shape(self, cut: str, size: int) -> tuple[int, int, int]:
        """Return the shape of the features at a layer for square images.

        Raises
        ------
        InputError
            When it has no such layer, or `size` does not go through it.

        Examples
        --------
        >>> get_network("vgg16").shape("block5_pool", 224)
        (7, 7, 512)
        """
        scale, channels = one_of("layer", cut, self.cuts)
        if self.features:
            return self.features
        if not 32 <= size <= MAX_SIZE or size % 32:
            raise InputError(
                f"The size {size} is not a multiple of 32 up to {MAX_SIZE}. Expected 224, 256, "
                "320 …"
            )
        return size // scale, size // scale, channels

    def layers_between(self, after: str, until: str) -> list[str]:
        """Return the names of the layers after one, up to and with another.

        Examples
        --------
        >>> get_network("vgg16").layers_between("block5_conv1", "block5_pool")
        ['block5_conv2', 'block5_conv3', 'block5_pool']
        """
        names = list(self.cuts)
        return names[names.index(after) + 1 : names.index(until) + 1]

    def deepest(self, *names: str) -> str:
        """Return the last of some layers, in the order of the network."""
        return max(names, key=list(self.cuts).index)

    def pooled_until(self, cut: str) -> tuple[str, ...]:
        """Return the layers that are pooled by default where the network ends at a cut.

        Examples
        --------
        >>> get_network("vgg16").pooled_until("block4_conv2")
        ('block4_conv1', 'block4_conv2')
        """
        there = self.layers_between(INPUT, cut)
        return tuple(name for name in self.pooled if name in there)


def _row(
    name: str, title: str, paper: str, cuts: Mapping[str, tuple[int, int]],
    pooled: tuple[str, ...], gmac: float, steps: Steps, unfreeze: int = 4,
    has_half: bool = False,
) -> Network:  # fmt: skip
    providers = PROVIDERS[name]
    wants = tuple(dict.fromkeys(one.preprocessing for one in providers.values())) or ("torch",)
    return Network(
        name, title, paper, cuts, pooled, gmac, steps, providers, wants, unfreeze, has_half
    )


class Networks(Mapping[str, Network]):
    """The networks that there are, by name, in the order of the table.

    Parameters
    ----------
    rows : iterable of Network
    """

    def __init__(self, rows: Iterable[Network]) -> None:
        self._rows = {row.name: row for row in rows}

    def __getitem__(self, name: str) -> Network:
        return self._rows[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __repr__(self) -> str:
        return f"<featx.NETWORKS: {', '.join(self)}>"


#: The table, by name.
NETWORKS: Mapping[str, Network] = Networks(
    (
        _row(
            "vgg16",
            "VGG16",
            "Simonyan and Zisserman 2014",
            vgg16.LAYERS,
            tuple(name for name in vgg16.CONVOLUTIONS if name >= "block4"),
            15.35,
            vgg16.VGG16(),
            has_half=True,
        ),
        _row(
            "resnet50",
            "ResNet50",
            "He, Zhang, Ren and Sun 2016",
            keras_networks.RESNET50[0],
            ("conv3_block4_out", "conv4_block3_out", "conv4_block6_out", "conv5_block3_out"),
            3.86,
            keras_networks.RESNET50[1],
            unfreeze=3,
        ),
        _row(
            "mobilenet-v2",
            "MobileNetV2",
            "Sandler, Howard, Zhu, Zhmoginov and Chen 2018",
            mobilenet.CUTS,
            mobilenet.LAYERS,
            0.3,
            mobilenet.STEPS,
        ),
        _row(
            "efficientnet-lite0",
            "EfficientNet-Lite0",
            "Tan and Le 2019; Google 2020",
            efficientnet_lite.CUTS,
            efficientnet_lite.LAYERS,
            0.384,
            efficientnet_lite.STEPS,
            has_half=True,
        ),
        _row(
            "efficientnet-v2-b0",
            "EfficientNetV2-B0",
            "Tan and Le 2021",
            keras_networks.EFFICIENTNET_V2_B0[0],
            ("block3b_add", "block4c_add", "block5e_add", "block6h_add", "top_activation"),
            0.72,
            keras_networks.EFFICIENTNET_V2_B0[1],
            unfreeze=2,
        ),
        _row(
            "convnext-tiny",
            "ConvNeXt-Tiny",
            "Liu, Mao, Wu, Feichtenhofer, Darrell and Xie 2022",
            keras_networks.CONVNEXT_TINY[0],
            ("stage2", "stage3", "stage4"),
            4.45,
            keras_networks.CONVNEXT_TINY[1],
            unfreeze=1,
        ),
    )
)


def get_network(name: str) -> Network:
    """Return a row of the table.

    Raises
    ------
    InputError
        When there is none of this name, or it is a file.
    """
    if name == FILE:
        raise InputError(WHOLE)
    return one_of("network", name, NETWORKS)


def network_of(name: str, features: Sequence[int] = ()) -> Network:
    """Return a row of the table, or that of a file.

    Parameters
    ----------
    name : str
        A key of `NETWORKS`, or "file".
    features : sequence of int
        Of a file, the shape of what it gives for an image: (height, width, channels).

    Raises
    ------
    InputError
        When there is none of this name, or the shape is not one.
    """
    if name != FILE:
        return get_network(name)
    if len(features) != 3 or min(features) < 1:
        raise InputError(
            f"The network of a file gives {tuple(features)}. Expected height, width, channels."
        )
    height, width, channels = features
    return Network(
        name=FILE,
        title="a file of your own",
        paper="",
        cuts={INPUT: (1, 3), OUTPUT: (1, channels)},
        pooled=(),
        gmac=math.nan,
        steps=NoSteps(),
        providers={},
        preprocessing=(),
        features=(height, width, channels),
    )
