"""Settings of Keras and NumPy that a user has change nothing in featx, and stay."""

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from generated import class_folders

Run = Callable[[str], dict[str, list[object]]]

WAY = """
import hashlib, json, sys
import numpy as np
photos, out, changed = sys.argv[1:]
if changed == "everywhere":
    import keras
    keras.config.set_dtype_policy("mixed_float16")
    np.seterr(all="raise")
import featx
tiny = {"weights": "random", "size": 32}
featx.extract(photos, f"{out}/f.h5", precision="float32", runtime="tensorflow", **tiny)
model = featx.fit(f"{out}/f.h5", f"{out}/m.featx", head="softmax", options={"epochs": 4}).model
tuned = featx.finetune(f"{out}/m.featx", f"{out}/t.featx", unfreeze=2, epochs=1, force=True).model
with featx.Cache.open(f"{out}/f.h5") as cache:
    activations = next(cache.blocks(np.arange(len(cache)), 0))[1].flat()
found = [activations.features, activations.pools, model.predict_proba_activations(activations),
         tuned.training["fitted"]]
import keras
state = [keras.config.floatx(), keras.config.epsilon(), keras.config.image_data_format(),
         keras.config.dtype_policy().name, np.geterr()["under"]]
print(json.dumps({"found": [hashlib.sha256(some.tobytes()).hexdigest() for some in found],
                  "state": state}))
"""


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Return a function that runs the way, with settings changed nowhere or everywhere."""
    photos = class_folders(tmp_path / "photos", 6)

    def way(changed: str) -> dict[str, list[object]]:
        if changed == "nowhere":  # this process has the settings that Keras comes with
            told, sys.argv = sys.argv, ["", str(photos), str(tmp_path), changed]
            try:
                with contextlib.redirect_stdout(io.StringIO()) as text:
                    exec(WAY, {})
            finally:
                sys.argv = told
            return dict(json.loads(text.getvalue().splitlines()[-1]))
        home = tmp_path / changed
        (home / ".keras").mkdir(parents=True)
        settings = {"floatx": "float64", "epsilon": 0.05, "image_data_format": "channels_first"}
        if changed == "everywhere":
            (home / ".keras" / "keras.json").write_text(json.dumps(settings))
        done = subprocess.run([sys.executable, "-c", WAY, str(photos), str(home), changed],
                              capture_output=True, text=True,
                              env={**os.environ, "HOME": str(home)})  # fmt: skip
        assert done.returncode == 0, done.stderr
        return dict(json.loads(done.stdout.splitlines()[-1]))

    return way


@pytest.mark.slow
def test_settings_of_the_user_change_nothing_and_stay(run: Run) -> None:
    plain = run("nowhere")
    assert plain["state"] == ["float32", 1e-07, "channels_last", "float32", "ignore"]
    changed = run("everywhere")
    assert changed["found"] == plain["found"]
    assert changed["state"] == ["float64", 0.05, "channels_first", "mixed_float16", "raise"]
