"""Print the class of an image and its probability, by TensorFlow without featx.

python saved_model.py saved_model photo.jpg
"""

import json
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image, ImageOps

network = tf.saved_model.load(sys.argv[1])
about = json.loads(Path(sys.argv[1], "assets.extra/featx.json").read_text("utf-8"))
image, size = Image.open(sys.argv[2]), about["size"]
image.draft(None, (2 * size, 2 * size))  # a large JPEG is decoded at a smaller scale
image = ImageOps.exif_transpose(image).convert("RGB")
resize = ImageOps.fit if about["resize"] == "crop" else Image.Image.resize
pixels = np.asarray(resize(image, (size, size), Image.Resampling.BILINEAR))
found = network.signatures["serving_default"](images=tf.constant(pixels[np.newaxis]))
(probabilities,) = found["probabilities"].numpy()
print(about["classes"][probabilities.argmax()], probabilities.max())
