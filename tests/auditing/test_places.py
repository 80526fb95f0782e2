"""Where a manifest of an audit says that images are, when they are no files below a folder."""

from pathlib import Path

import numpy as np

from featx.auditing.table import groups_table, lies_outside
from featx.dataset.catalog import Entry, build_catalog
from featx.dataset.stores.addresses import Address
from featx.dataset.stores.archives import Archives
from featx.dataset.stores.remote import Remote


def test_images_at_addresses_are_listed_by_them(tmp_path: Path) -> None:
    web = "https://h/c.png"
    for root, path, store, said in (
        (Address("s3://bucket/v1"), "a/b.png", Remote("s3://bucket/v1"), "s3://bucket/v1/a/b.png"),
        (tmp_path, web, Remote(), web),
        (tmp_path / "x.zip", "a/b.png", Archives(str(tmp_path / "x.zip")), "x.zip/a/b.png"),
    ):
        listed = build_catalog(root, [Entry(path, "a")], 0, store)
        table = groups_table(listed, np.array(["g"], object), tmp_path).decode().splitlines()
        assert table[1].split(",")[0] == said
        assert not lies_outside(listed, tmp_path)
