"""An extraction by the executors of a Spark cluster: pip install featx joblibspark on all machines.

    spark-submit spark_extract.py SOURCE features.d [JOBS]
    python spark_extract.py SOURCE features.d [JOBS]

Images are read by the executors: all machines see SOURCE under the same path. Parts come back to
the driver, so that the cache need not be on a shared folder. JOBS parts are done at a time.
"""

import sys

import joblib
from joblibspark import register_spark

import featx


def main() -> None:
    """Extract."""
    source, out, *jobs = sys.argv[1:]
    register_spark()
    with joblib.parallel_config("spark", n_jobs=int(jobs[0]) if jobs else 2):
        done = featx.extract(source, out)
    print(f"{done.out}: {done.cached} images of {done.listed}, {len(done.skipped)} skipped")


if __name__ == "__main__":
    main()
