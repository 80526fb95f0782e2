"""The names that settings take, as types: editors offer them, and type checkers refuse others.

Each is the keys of a table elsewhere; ``tests/test_names.py`` compares them.
"""

from typing import Literal

__all__ = [
    "Augmentation",
    "BackendName",
    "ClassWeight",
    "Dtype",
    "ExportPrecision",
    "HeadName",
    "KeepName",
    "LayerName",
    "MetricName",
    "NetworkName",
    "OptimizerName",
    "PrecisionName",
    "Preference",
    "PreprocessingName",
    "QualityName",
    "QuantizationName",
    "ReportPart",
    "ResizeRule",
    "RuntimeName",
    "SortKey",
    "SplitName",
    "ViewName",
]

HeadName = Literal[
    "dummy",
    "nearest-centroid",
    "lda",
    "ridge",
    "kernel-ridge",
    "logreg",
    "linear-svm",
    "softmax",
    "knn",
    "rbf-svm",
    "random-forest",
    "dense",
    "hist-gradient-boosting",
]
ViewName = Literal["avg", "max", "avgmax", "flatten", "layers", "covariance"]
MetricName = Literal["accuracy", "balanced-accuracy", "macro-f1", "log-loss", "roc-auc"]
ClassWeight = Literal["balanced"]
Preference = Literal["best", "small", "fast"]
LayerName = Literal[
    "input",
    "block1_conv1",
    "block1_conv2",
    "block1_pool",
    "block2_conv1",
    "block2_conv2",
    "block2_pool",
    "block3_conv1",
    "block3_conv2",
    "block3_conv3",
    "block3_pool",
    "block4_conv1",
    "block4_conv2",
    "block4_conv3",
    "block4_pool",
    "block5_conv1",
    "block5_conv2",
    "block5_conv3",
    "block5_pool",
]
NetworkName = Literal[
    "vgg16",
    "resnet50",
    "mobilenet-v2",
    "efficientnet-lite0",
    "efficientnet-v2-b0",
    "convnext-tiny",
]
BackendName = Literal["local", "dask"]
Augmentation = Literal["none", "flip", "mild", "article"]
ResizeRule = Literal["squash", "crop"]
QualityName = Literal["fast", "best"]
Dtype = Literal["float16", "float32"]
KeepName = Literal["all", "pooled"]
RuntimeName = Literal["auto", "tensorflow", "winograd", "openvino"]
PrecisionName = Literal["auto", "float32", "bfloat16", "int8"]
ExportPrecision = Literal["auto", "float32", "bfloat16"]
QuantizationName = Literal["float16", "int8"]
PreprocessingName = Literal["caffe", "torch", "tf", "lite", "none"]
OptimizerName = Literal["adam", "sgd"]
SplitName = Literal["train", "val", "test"]
SortKey = Literal["confidence", "novelty"]
ReportPart = Literal["audit", "curve", "map", "images"]
