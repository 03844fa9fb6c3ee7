"""Manifests against coreutils' sha256sum, which must find what we find."""

import subprocess

import pytest

from pipelines.storage.manifest import MANIFEST, files_below, read_manifest, unlike_manifest, write_manifest


def checked(folder):
    """The files that sha256sum complains of."""
    run = subprocess.run(
        ["sha256sum", "--check", "--quiet", MANIFEST], cwd=folder, capture_output=True, text=True, check=False
    )
    return sorted(line.split(": ")[0] for line in run.stdout.splitlines()), run.returncode


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "a b").mkdir()
    (tmp_path / "one.txt").write_bytes(b"one")
    (tmp_path / "a b" / "zwei ü.bin").write_bytes(bytes(range(256)))
    (tmp_path / "a b" / "empty").write_bytes(b"")
    write_manifest(tmp_path, {})
    return tmp_path


def test_what_was_written_verifies(folder):
    assert checked(folder) == ([], 0)
    assert unlike_manifest(folder) == []
    assert sorted(read_manifest(folder)) == files_below(folder) == ["a b/empty", "a b/zwei ü.bin", "one.txt"]
    by_coreutils = subprocess.run(["sha256sum", *files_below(folder)], cwd=folder, capture_output=True, check=True)
    assert (folder / MANIFEST).read_bytes() == by_coreutils.stdout


@pytest.mark.parametrize("position", [0, 100, 255])
def test_a_flipped_bit_is_found(folder, position):
    path = folder / "a b" / "zwei ü.bin"
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)
    assert unlike_manifest(folder) == ["a b/zwei ü.bin"]
    assert checked(folder) == (["a b/zwei ü.bin"], 1)


def test_missing_and_added_files_are_found(folder):
    (folder / "one.txt").unlink()
    (folder / "two.txt").write_bytes(b"two")
    assert unlike_manifest(folder) == ["one.txt", "two.txt"]


def test_known_digests_are_quoted(folder):
    write_manifest(folder, {"one.txt": "0" * 64})
    assert read_manifest(folder)["one.txt"] == "0" * 64
    assert unlike_manifest(folder) == ["one.txt"]


def test_a_line_of_another_kind_is_refused(folder):
    (folder / MANIFEST).write_text("not a digest\n")
    with pytest.raises(ValueError, match="no digest and path"):
        read_manifest(folder)


def test_a_path_that_sha256sum_would_escape_is_refused(folder):
    (folder / "line\nbreak").write_bytes(b"")
    with pytest.raises(ValueError, match="cannot hold"):
        write_manifest(folder, {})
