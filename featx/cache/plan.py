"""What an extraction is asked for, and what of it is still to be computed. Nothing here acts."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import NamedTuple, TypedDict

from ..errors import InputError, one_of, require_one_of
from ..images import augment
from ..images.sandbox import Job
from ..names import (
    Augmentation,
    BackendName,
    Dtype,
    KeepName,
    LayerName,
    NetworkName,
    PrecisionName,
    PreprocessingName,
    QualityName,
    ResizeRule,
    RuntimeName,
)
from ..network.fingerprint import DTYPES, KEEP, Fingerprint, TrunkFingerprint
from ..network.networks import FILE, network_of
from ..network.ranges import Ranges, known_ranges
from ..network.runtime import choose_precision, choose_runtime
from ..network.trunk import BATCH
from ..network.weights import Weights

__all__ = [
    "QUALITIES",
    "ExtractChanges",
    "ExtractSettings",
    "Plan",
    "Quality",
    "make_plan",
    "settings_of",
    "sizes_of",
]

log = logging.getLogger("featx")

#: Rows that a part has about: what a killed run loses at most.
PART_ROWS = 128


class Quality(NamedTuple):
    """What an extraction keeps of an image: sizes in pixels, and whether mirrored images too."""

    sizes: tuple[int, ...]
    mirror: bool = False


#: Presets of an extraction; docs/results.md says what each costs and brings.
QUALITIES: Mapping[str, Quality] = MappingProxyType(
    {"fast": Quality((224,)), "best": Quality((320,), mirror=True)}
)


@dataclass(frozen=True)
class ExtractSettings:
    """How images become features.

    Attributes
    ----------
    network : str, optional
        A key of `networks.NETWORKS`, such as "mobilenet-v2", or the path of a ``.keras`` or
        ``.onnx`` file of your own; by default what `out` has, else "vgg16".
    cut : str, optional
        The layer where the network ends, such as VGG16's "block4_pool"; by default its last one.
    quality : {"fast", "best"}
        What `size` and `mirror` are where they are not given: fast is 224 pixels, best is 320
        pixels and mirrored images too.
    size : int or tuple of int, optional
        Pixels a side; a multiple of 32. Of further sizes only layer pools are kept.
    layers : tuple of str, optional
        Layers whose pools are kept, () for none; by default what `out` has, else the late ones up
        to the cut: VGG16's convolutions of blocks 4 and 5.
    mirror : bool, optional
        Whether the layer pools of mirrored images are kept too.
    keep : {"all", "pooled"}, optional
        What is kept of the features at the cut: all of them, or mean and maximum of each channel,
        a fraction of the bytes, which is all that most heads see; by default what `out` has, else
        "all".
    resize : {"squash", "crop"}
        Whether both sides are resized, or the middle square is taken.
    bits : int
        Bits of the values in grey images of 16 bits.
    copies : int
        Augmented copies beside each original.
    augment : str, optional
        Augmentation policy of the copies; by default "mild" with copies and "none" without.
    seed : int
        Seed of the random augmentation.
    weights : str
        "auto", "keras", "torchvision", "random", or a path. See `weights.resolve_weights`.
    preprocessing : {"caffe", "torch", "tf", "lite", "none"}, optional
        For a file of weights, or of a network, that is not a known one.
    precision : {"auto", "float32", "bfloat16", "int8"}
        Precision of the network; auto is that of `out`, else as `runtime.choose_precision` says.
    dtype : {"float16", "float32"}
        Data type of the cached features.
    runtime : {"auto", "tensorflow", "winograd", "openvino"}
        What computes the network; auto is what `out` was made with, else as
        `runtime.choose_runtime` says.
    batch : int
        Images in a batch of the network.
    max_bad : float, optional
        Largest share of images that may be skipped; by default a tenth, and always ten.
    strict : bool
        Stop at the first image that cannot be used.
    prune : bool
        Drop the features of images that are no longer listed, which are kept otherwise.
    overwrite : bool
        Make an existing cache anew, whatever its settings. An interrupted run with the same
        settings goes on all the same.
    backend : {"local", "dask"}
        Where parts are computed: in this process, or by the workers of a Dask cluster.
    scheduler : str, optional
        The address of the scheduler of a Dask cluster, such as "tcp://host:8786".
    share : str, optional
        "3/40" is the third of forty processes that compute a cache together; `join` makes it when
        all have ended.
    max_hours : float, optional
        Stop with `OutOfTimeError` after the part that is under way then; the next run goes on.
    """

    network: str | None = None
    cut: str | None = None
    quality: str = "fast"
    size: int | Sequence[int] | None = None
    layers: Sequence[str] | None = None
    mirror: bool | None = None
    keep: str | None = None
    resize: str = "crop"
    bits: int = 16
    copies: int = 0
    augment: str | None = None
    seed: int = 0
    weights: str = "auto"
    preprocessing: str | None = None
    precision: str = "auto"
    dtype: str = "float16"
    runtime: str = "auto"
    batch: int = BATCH
    max_bad: float | None = None
    strict: bool = False
    prune: bool = False
    overwrite: bool = False
    backend: str = "local"
    scheduler: str | None = None
    share: str | None = None
    max_hours: float | None = None


class ExtractChanges(TypedDict, total=False):
    """The fields of `ExtractSettings` as keywords, for editors and type checkers."""

    network: NetworkName | str | None
    cut: LayerName | str | None
    quality: QualityName
    size: int | Sequence[int] | None
    layers: Sequence[LayerName | str] | None
    mirror: bool | None
    keep: KeepName | None
    resize: ResizeRule
    bits: int
    copies: int
    augment: Augmentation | None
    seed: int
    weights: str
    preprocessing: PreprocessingName | None
    precision: PrecisionName
    dtype: Dtype
    runtime: RuntimeName
    batch: int
    max_bad: float | None
    strict: bool
    prune: bool
    overwrite: bool
    backend: BackendName
    scheduler: str | None
    share: str | None
    max_hours: float | None


@dataclass(frozen=True, eq=False)
class Plan:
    """What is computed, and how.

    Attributes
    ----------
    fingerprint : Fingerprint
        The settings and weights that the features are to be made with.
    job : Job
        What is made of every image before the network.
    batch : int
        Images in a batch of the network.
    images_in_part : int
        How many images are computed and written at a time.
    """

    fingerprint: Fingerprint
    job: Job
    batch: int
    images_in_part: int

    def with_ranges(self, ranges: Ranges) -> "Plan":
        """Return the plan with the ranges that int8 needs."""
        return replace(self, fingerprint=replace(self.fingerprint, ranges=ranges))


def make_plan(
    settings: ExtractSettings,
    weights: Weights,
    images: int,
    before: Fingerprint | None = None,
) -> Plan:
    """Decide what to compute, and how.

    Parameters
    ----------
    settings : ExtractSettings
    weights : Weights
    images : int
        How many are listed.
    before : Fingerprint, optional
        The fingerprint of the cache that is updated, or of what a stopped run left.

    Raises
    ------
    InputError
        When a setting is wrong.
    """
    policy = augment.get_policy(_policy_name(settings), settings.copies)
    fingerprint = _fingerprint(settings, weights, policy, before, images)
    each = settings.batch * (1 + settings.copies)
    return Plan(
        fingerprint=fingerprint,
        job=Job(
            fingerprint.trunk.size,
            settings.resize,
            policy,
            settings.seed,
            settings.copies,
            settings.bits,
            fingerprint.sizes,
        ),
        batch=settings.batch,
        images_in_part=settings.batch * max(1, PART_ROWS // each),
    )


def sizes_of(settings: ExtractSettings) -> tuple[int, ...]:
    """Return the sizes of the images in pixels, those of the features at the cut first."""
    wanted = one_of("quality", settings.quality, QUALITIES).sizes
    if settings.size is not None:
        wanted = (settings.size,) if isinstance(settings.size, int) else tuple(settings.size)
    return wanted


def settings_of(made: Fingerprint) -> ExtractSettings:
    """Return the settings that make what a cache holds, from the weights that it names."""
    trunk, copies = made.trunk, made.copies
    return ExtractSettings(
        network=trunk.network,
        cut=trunk.cut,
        size=(trunk.size, *made.sizes),
        layers=made.layers,
        mirror=made.mirror,
        keep=made.keep,
        resize=trunk.resize,
        bits=trunk.bits,
        copies=copies,
        augment=augment.policy_name(made.augment) if copies else None,
        seed=made.seed,
        preprocessing=trunk.preprocessing,
        precision=made.precision,
        dtype=made.dtype,
        runtime=made.runtime,
    )


def _policy_name(settings: ExtractSettings) -> str:
    return settings.augment or ("mild" if settings.copies else "none")


def _fingerprint(
    settings: ExtractSettings,
    weights: Weights,
    policy: augment.Policy,
    before: Fingerprint | None,
    images: int,
) -> Fingerprint:
    """Return the fingerprint of what is asked for; "auto" follows what is there."""
    require_one_of("dtype", settings.dtype, DTYPES)
    if settings.batch < 1:
        raise InputError(f"The batch size is {settings.batch}. Expected 1 or more.")
    by = before.runtime if before else None
    known = (before.ranges if before else None) or known_ranges(weights.digest)
    precision = settings.precision
    if before and precision == "auto":
        precision = before.precision
        if choose_precision("auto", before.runtime, precision) != precision:
            log.warning(
                "The cache was made in %s, which %s. To compute in float32, give another output "
                "and --precision float32.",
                precision,
                "is not to be had here"
                if precision == "int8"
                else "this processor emulates, several times slower than float32",
            )
    if weights.network == FILE:
        runtime, precision = _for_file(settings, weights, before)
    else:
        precision = choose_precision(
            precision,
            settings.runtime,
            calibrated=known is not None,
            has_half=network_of(weights.network, weights.features).has_half,
        )
    preset = one_of("quality", settings.quality, QUALITIES)
    size, *sizes = sizes_of(settings)
    if weights.network != FILE:
        runtime = choose_runtime(
            settings.runtime,
            by,
            precision=precision,
            size=size,
            images=images,
            network=weights.network,
        )
    row = network_of(weights.network, weights.features)
    cut = settings.cut or row.last
    pooled = settings.layers
    if pooled is None:
        require_one_of("layer", cut, row.cuts)
        is_same = before is not None and before.trunk.network == weights.network
        pooled = before.layers if before and is_same else row.pooled_until(cut)
        if is_same and not pooled and row.pooled_until(cut):
            log.info(
                "The cache has no layer pools, which an earlier featx did not keep. Extracted "
                "anew, with --overwrite, it lets fit choose better classifiers."
            )
    return Fingerprint(
        TrunkFingerprint(
            weights=weights.digest,
            preprocessing=weights.preprocessing,
            cut=cut,
            size=size,
            resize=settings.resize,
            bits=settings.bits,
            network=weights.network,
            features=weights.features,
        ),
        copies=settings.copies,
        augment=policy.as_json() if settings.copies else "",
        seed=settings.seed if settings.copies else 0,
        dtype=settings.dtype,
        precision=precision,
        runtime=runtime,
        layers=tuple(pooled),
        sizes=tuple(sizes),
        mirror=bool(pooled) and preset.mirror if settings.mirror is None else settings.mirror,
        ranges=known if precision == "int8" else None,
        keep=settings.keep or (before.keep if before else KEEP[0]),
    )


def _for_file(
    settings: ExtractSettings, weights: Weights, before: Fingerprint | None
) -> tuple[str, str]:
    """Return the runtime and the precision of the network of a file.

    Raises
    ------
    InputError
        When others are asked for.
    """
    if settings.runtime != "auto" or settings.precision not in ("auto", "float32"):
        raise InputError(
            "The network of a file is computed in float32, by Keras, ONNX Runtime or OpenVINO. "
            "Leave --runtime and --precision out."
        )
    is_same = before is not None and before.trunk.network == FILE
    return before.runtime if before and is_same else weights.runtime, "float32"
