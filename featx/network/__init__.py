"""From pixels to features: VGG16, its weights, and the runtimes that compute it."""
