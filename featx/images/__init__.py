"""From the bytes of an image file to pixels: decoding and augmentation, with limits."""
