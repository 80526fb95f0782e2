"""Which images there are, and their labels, splits and groups: catalogs, manifests, samples."""
