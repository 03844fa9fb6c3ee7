"""One key per vault; ids are HMACs under it."""

import hashlib
import hmac
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipelines.storage.keys import Key, VaultKeyError


def test_ids_are_hmac_sha256_over_scope_and_value() -> None:
    key = Key(bytes(range(32)))
    digest = hmac.new(bytes(range(32)), b"patient\0" + "Zoë".encode(), hashlib.sha256)
    assert key.identify("patient", "Zoë", 64) == digest.hexdigest()
    assert key.identify("patient", "Zoë") == digest.hexdigest()[:16]
    assert key.integer("patient", "Zoë") == int(digest.hexdigest(), 16)
    assert key.identify("study", "Zoë") != key.identify("patient", "Zoë")


def test_key_is_made_once_and_closed_to_others(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(lambda _: Key.load_or_create(tmp_path / "vault"), range(16)))
    assert len({k.secret for k in keys}) == 1
    assert (tmp_path / "vault" / "key").stat().st_mode & 0o777 == 0o600
    assert [p.name for p in (tmp_path / "vault").iterdir()] == ["key"]


def test_key_never_shows_itself(tmp_path: Path) -> None:
    key = Key.load_or_create(tmp_path)
    assert key.secret.hex() not in repr(key)
    assert str(key.secret) not in repr(key)


@pytest.mark.parametrize("content", ["", "abc", "zz" * 32])
def test_damaged_key_is_a_clear_error(tmp_path: Path, content: str) -> None:
    (tmp_path / "key").write_text(content)
    (tmp_path / "key").chmod(0o600)
    with pytest.raises(VaultKeyError):
        Key.load_or_create(tmp_path)


def test_key_open_to_others_is_refused(tmp_path: Path) -> None:
    Key.load_or_create(tmp_path)
    (tmp_path / "key").chmod(0o644)
    with pytest.raises(VaultKeyError, match="chmod"):
        Key.load_or_create(tmp_path)
