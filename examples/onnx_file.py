"""Print the class of an image and its probability, by ONNX Runtime without featx.

python onnx_file.py model.onnx photo.jpg
"""

import json
import sys

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

session = onnxruntime.InferenceSession(sys.argv[1])
about = json.loads(session.get_modelmeta().custom_metadata_map["featx"])
image, size = Image.open(sys.argv[2]), about["size"]
image.draft(None, (2 * size, 2 * size))  # a large JPEG is decoded at a smaller scale
image = ImageOps.exif_transpose(image).convert("RGB")
resize = ImageOps.fit if about["resize"] == "crop" else Image.Image.resize
pixels = np.asarray(resize(image, (size, size), Image.Resampling.BILINEAR))
(probabilities,) = session.run(["probabilities"], {"images": pixels[np.newaxis]})[0]
print(about["classes"][probabilities.argmax()], probabilities.max())
