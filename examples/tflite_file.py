"""Print the class of an image and its probability, by LiteRT without featx.

python tflite_file.py model.tflite photo.jpg
"""

import json
import sys
import zipfile

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from PIL import Image, ImageOps

run = Interpreter(sys.argv[1]).get_signature_runner("serving_default")
about = json.loads(zipfile.ZipFile(sys.argv[1]).read("featx.json"))
image, size = Image.open(sys.argv[2]), about["size"]
image.draft(None, (2 * size, 2 * size))  # a large JPEG is decoded at a smaller scale
image = ImageOps.exif_transpose(image).convert("RGB")
resize = ImageOps.fit if about["resize"] == "crop" else Image.Image.resize
pixels = np.asarray(resize(image, (size, size), Image.Resampling.BILINEAR))
(probabilities,) = run(images=pixels[np.newaxis])["probabilities"]
print(about["classes"][probabilities.argmax()], probabilities.max())
