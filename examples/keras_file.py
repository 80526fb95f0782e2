"""Print the class of an image and its probability, by Keras without featx.

python keras_file.py model.keras photo.jpg
"""

import json
import sys
import zipfile

import keras
import numpy as np
from PIL import Image, ImageOps

network = keras.saving.load_model(sys.argv[1])
about = json.loads(zipfile.ZipFile(sys.argv[1]).read("metadata.json"))["featx"]
image, size = Image.open(sys.argv[2]), about["size"]
image.draft(None, (2 * size, 2 * size))  # a large JPEG is decoded at a smaller scale
image = ImageOps.exif_transpose(image).convert("RGB")
resize = ImageOps.fit if about["resize"] == "crop" else Image.Image.resize
pixels = np.asarray(resize(image, (size, size), Image.Resampling.BILINEAR))
(probabilities,) = network.predict(pixels[np.newaxis], verbose=0)
print(about["classes"][probabilities.argmax()], probabilities.max())
