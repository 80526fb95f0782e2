"""An extraction by the workers of a Ray cluster: pip install featx 'ray[default]' on all machines.

    python ray_extract.py SOURCE features.d [ADDRESS]

Images are read by the workers: all machines see SOURCE under the same path. Parts come back
through Ray, so that the cache need not be on a shared folder. Without an address, Ray starts here.
"""

import sys

import joblib
import ray
from ray.util.joblib import register_ray

import featx


def main() -> None:
    """Extract."""
    source, out, *address = sys.argv[1:]
    ray.init(address=address[0] if address else None)
    register_ray()
    with joblib.parallel_config("ray"):
        done = featx.extract(source, out, progress=True)
    print(f"{done.out}: {done.cached} images of {done.listed}, {len(done.skipped)} skipped")


if __name__ == "__main__":
    main()
