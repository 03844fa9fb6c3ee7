"""Deliveries, their partitions, and whether they have settled."""

import json
import os
import shutil
import time

import pytest

from pipelines.archive.deliveries import (
    Delivery,
    find_delivery,
    is_settled,
    list_deliveries,
    listing_digest,
    register,
)
from pipelines.storage.keys import Key


@pytest.fixture
def inbox(tmp_path):
    inbox = tmp_path / "inbox"
    (inbox / "DOE JANE").mkdir(parents=True)
    (inbox / "b").mkdir()
    return inbox


def test_folders_links_to_folders_and_loose_files_are_deliveries(inbox, tmp_path):
    assert list_deliveries(tmp_path / "missing") == []
    (tmp_path / "elsewhere").mkdir()
    (inbox / "link").symlink_to(tmp_path / "elsewhere")
    assert [d.name for d in list_deliveries(inbox)] == ["DOE%20JANE", "b", "link"]
    (inbox / "loose.dcm").write_bytes(b"x")
    (inbox / "circle").symlink_to("circle")
    (inbox / "b" / "deep").mkdir()
    (inbox / "b" / "deep" / "y").write_bytes(b"y")
    loose, *others = list_deliveries(inbox)
    assert loose == Delivery("", inbox, loose=True)
    assert [(e.relative, e.problem) for e in loose.entries()] == [(b"circle", "symlink"), (b"loose.dcm", None)]
    assert [e.relative for d in others for e in d.entries()] == [b"deep/y"]


def test_a_partition_names_the_day_and_a_keyed_id_and_never_changes(inbox, tmp_path, key):
    vault = tmp_path / "vault"
    os.utime(inbox / "DOE JANE", (0, 86400 * 30))
    delivery = list_deliveries(inbox)[0]
    partition = register(vault, key, delivery)
    assert partition == f"D-19700131-{key.identify('delivery', 'DOE%20JANE', 12)}"
    os.utime(inbox / "DOE JANE")
    assert register(vault, key, delivery) == partition
    assert register(vault, key, list_deliveries(inbox)[1]) != partition
    assert find_delivery(vault, inbox, partition) == delivery
    path = vault / "deliveries.json"
    assert path.stat().st_mode & 0o777 == 0o600
    assert json.loads(path.read_text())["DOE%20JANE"] == partition
    assert "DOE" not in partition
    shutil.rmtree(inbox / "DOE JANE")
    with pytest.raises(LookupError):
        find_delivery(vault, inbox, partition)
    with pytest.raises(LookupError):
        find_delivery(vault, inbox, "D-20000101-000000000000")


def test_the_listing_digest_tells_every_change_and_is_keyed(inbox, key):
    delivery = list_deliveries(inbox)[0]
    file = delivery.folder / "a"
    seen = {listing_digest(delivery, key)}
    file.write_bytes(b"1")
    seen.add(first := listing_digest(delivery, key))
    assert listing_digest(delivery, key) == first
    seen.add(listing_digest(delivery, Key(bytes(32))))
    os.utime(file, (5, 5))
    seen.add(listing_digest(delivery, key))
    file.write_bytes(b"12")
    os.utime(file, (5, 5))
    seen.add(listing_digest(delivery, key))
    file.rename(delivery.folder / "b")
    seen.add(listing_digest(delivery, key))
    (delivery.folder / "b").unlink()
    seen.add(listing_digest(delivery, key))
    assert len(seen) == 6  # the emptied delivery is as it was at first


def test_a_delivery_is_settled_when_nothing_changed_for_a_while(inbox):
    delivery = list_deliveries(inbox)[0]
    file = delivery.folder / "a"
    file.write_bytes(b"1")
    os.utime(file, (5, 5))
    now = time.time()
    assert not is_settled(delivery, 60, now)
    assert is_settled(delivery, 60, now + 61)
    os.utime(file, (now + 10**9, now + 10**9))
    assert is_settled(delivery, 60, time.time() + 61)
