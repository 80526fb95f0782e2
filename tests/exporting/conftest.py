"""Small models of several kinds, on images of three classes."""

from dataclasses import replace
from pathlib import Path

import pytest
from generated import TINY, class_folders

import featx

CUT = "block2_pool"


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with photos/, caches of both kinds of weights, and models."""
    root = tmp_path_factory.mktemp("export")
    class_folders(root / "photos", 8)
    for kind in ("caffe", "torch"):
        featx.extract(root / "photos", root / f"{kind}.h5", preprocessing=kind, cut=CUT,
                      precision="float32", **TINY)  # fmt: skip
    for cache, head, view in (
        ("torch", "lda", "avgmax"),
        ("torch", "kernel-ridge", "covariance"),
        ("caffe", "logreg", "avg"),
    ):
        featx.fit(root / f"{cache}.h5", root / f"{head}.featx", head=head, view=view,
                  target_precision=0.5)  # fmt: skip
    return root


@pytest.fixture(scope="session")
def tuned(made: Path) -> featx.Model:
    """Return a model whose last convolutions are its own, other than the network's."""
    model = featx.load(made / "logreg.featx")
    cut, trunk = "block1_pool", model.fingerprint.trunk
    tail = model.tail_after(cut)
    arrays = {name: (kernel * 1.1, bias + 0.1) for name, (kernel, bias) in tail.arrays.items()}
    moved = replace(model.fingerprint, trunk=replace(trunk, cut=cut))
    return replace(model, fingerprint=moved, tail=replace(tail, arrays=arrays))
