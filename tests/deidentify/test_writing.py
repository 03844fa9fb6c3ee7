"""What is written against what was read: untouched elements and pixels byte by byte, and what must not be copied."""

import hashlib
import os
import subprocess
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
)

from pipelines.deidentify.objects import deidentify_object
from pipelines.deidentify.reading import TooLargeError, quiet, read_header
from pipelines.deidentify.refusals import RefusedError
from tests.deidentify.conftest import mammogram, save

UNTOUCHED = (
    "ImageType Modality PresentationIntentType KVP Exposure BodyPartThickness CompressionForce ImagerPixelSpacing "
    "ViewPosition ImageLaterality WindowCenter WindowWidth Rows Columns BitsStored SamplesPerPixel StudyTime "
    "PixelIntensityRelationshipSign RescaleSlope"
)
SYNTAXES = [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian]

Run = Callable[[Path], Path]


@pytest.fixture
def run(tmp_path: Path, headers_only: Any, pseudonyms: Any) -> Run:
    def run(source: Path, name: str = "out.dcm") -> Path:
        target = tmp_path / name
        deidentify_object(source, target, file_id="f", location="", profile=headers_only, pseudonyms=pseudonyms)
        return target

    return run


def encoded(element: Any, implicit: bool, little: bool) -> bytes:
    """One element as PS3.5 section 7.1 has it, for VRs with short lengths; its value as it lies in the file."""
    order = "little" if little else "big"
    head = element.tag.group.to_bytes(2, order) + element.tag.element.to_bytes(2, order)
    if implicit:
        return head + len(element.value).to_bytes(4, order) + element.value
    return head + element.VR.encode() + len(element.value).to_bytes(2, order) + element.value


def behind(source: Path, more: bytes) -> Path:
    source.write_bytes(source.read_bytes() + more)
    return source


def compressed(fragments: list[bytes], **changes: Any) -> Dataset:
    dataset = mammogram(**changes)
    dataset.add_new(0x7FE00010, "OB", encapsulate(fragments))
    dataset["PixelData"].is_undefined_length = True
    return dataset


def jpeg(comment: bytes = b"", application: bytes = b"JFIF\0") -> bytes:
    """The marker segments of a JPEG before its scan, and something that stands for the scan."""
    segments = [(0xE0, application), (0xDB, bytes(65))] + ([(0xFE, comment)] if comment else [])
    body = b"".join(b"\xff%c" % m + (len(d) + 2).to_bytes(2, "big") + d for m, d in segments)
    return b"\xff\xd8" + body + b"\xff\xda\0\x02" + bytes(range(1, 200)) + b"\xff\xd9\0"


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda s: s.name)
def test_untouched_elements_and_pixels_are_the_same_bytes(run: Run, tmp_path: Path, syntax: Any) -> None:
    source = save(mammogram(), tmp_path / "in.dcm", syntax)
    written = run(source).read_bytes()
    with quiet():
        raw = pydicom.dcmread(source)
    for keyword in UNTOUCHED.split():
        element = raw.get_item(keyword)
        assert encoded(element, syntax.is_implicit_VR, syntax.is_little_endian) in written, keyword
    assert written.endswith(mammogram().PixelData)
    assert written[:132] == bytes(128) + b"DICM"


def test_compressed_pixels_are_the_same_bytes_with_their_fragments(run: Run, tmp_path: Path) -> None:
    source = save(compressed([jpeg(), jpeg()[:100], jpeg()]), tmp_path / "in.dcm", JPEGBaseline8Bit)
    data = source.read_bytes()
    start = data.index(b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff")
    written = run(source)
    assert written.read_bytes().endswith(data[start:])
    assert subprocess.run(["dcmdump", "-q", written], capture_output=True, check=False).stderr == b""


def test_pixels_are_copied_whole_where_reads_are_short(run: Run, tmp_path: Path, monkeypatch: Any) -> None:
    dataset = mammogram(Rows=1200, Columns=1000)
    dataset.add_new(0x7FE00010, "OW", np.arange(300_000, dtype=np.uint16).tobytes() * 4)
    source = save(dataset, tmp_path / "in.dcm")
    first = run(source, "first.dcm").read_bytes()

    read, sizes = os.preadv, []

    def short(file: int, buffers: list[memoryview], position: int) -> int:
        sizes.append(read(file, [buffers[0][:100_001]], position))
        return sizes[-1]

    monkeypatch.setattr(os, "preadv", short)
    assert run(source, "second.dcm").read_bytes() == first
    assert len(sizes) > 20
    assert first.endswith(dataset.PixelData)


def test_pixel_data_is_not_read_into_memory(run: Run, tmp_path: Path) -> None:
    source = save(mammogram(Rows=6144, Columns=8192), tmp_path / "in.dcm")
    data = source.read_bytes()
    start = data.index(b"\xe0\x7f\x10\x00OW\0\0") + 8
    size = 6144 * 8192 * 2
    with source.open("r+b") as file:
        file.seek(start)
        file.write(size.to_bytes(4, "little"))
        file.truncate(start + 4 + size)
    run(save(mammogram(), tmp_path / "warm.dcm"), "warm-out.dcm")
    tracemalloc.start()
    try:
        written = run(source)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 << 20
    assert written.stat().st_size > size


def test_elements_behind_the_pixels_are_counted_and_left_out(
    tmp_path: Path, headers_only: Any, pseudonyms: Any
) -> None:
    trailing = b"\xfc\xff\xfc\xffOB\0\0" + (12).to_bytes(4, "little") + b"KOWALEWSKA  "
    private = b"\xe1\x7f\x10\x00LO\x06\x00OLGA1 "
    source = behind(save(mammogram(), tmp_path / "in.dcm"), private + trailing + bytes(10))
    made = deidentify_object(
        source, tmp_path / "o", file_id="f", location="", profile=headers_only, pseudonyms=pseudonyms
    )
    written = (tmp_path / "o").read_bytes()
    assert written.endswith(mammogram().PixelData)
    assert b"OLGA1" not in written
    assert made.actions_by_tag["FFFCFFFC"] == {"X": 1}


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        (b"what is this KOWALEWSKA?", "behind_pixel_data_unreadable"),
        (b"\xfc\xff\xfc\xffOB\0\0" + (99).to_bytes(4, "little") + b"short", "behind_pixel_data_unreadable"),
        (b"\x10\x00\x10\x00PN\x04\x00Olga", "elements_out_of_order"),
        (b"\xe0\x7f\x10\x00OW\0\0\x02\0\0\0ab", "elements_out_of_order"),
    ],
)
def test_what_is_behind_the_pixels_and_cannot_be_told_refuses(
    run: Run, tmp_path: Path, more: bytes, reason: str
) -> None:
    with pytest.raises(RefusedError) as refused:
        run(behind(save(mammogram(), tmp_path / "in.dcm"), more))
    assert refused.value.reason == reason
    assert not (tmp_path / "out.dcm").exists()


@pytest.mark.parametrize("damage", ["no delimiter", "no item", "beyond the end", "odd length"])
def test_broken_fragments_refuse(run: Run, tmp_path: Path, damage: str) -> None:
    source = save(compressed([jpeg(), jpeg()]), tmp_path / "in.dcm", JPEGBaseline8Bit)
    data = bytearray(source.read_bytes())
    first = data.index(b"\xff\xd8\xff\xe0") - 8
    if damage == "no delimiter":
        del data[-8:]
    elif damage == "no item":
        data[first : first + 4] = b"KOWA"
    elif damage == "beyond the end":
        data[first + 4 : first + 8] = (1 << 20).to_bytes(4, "little")
    else:
        data[first + 4] -= 1
    source.write_bytes(data)
    with pytest.raises(RefusedError, match="pixel_data_broken"):
        run(source)
    assert not (tmp_path / "out.dcm").exists()


def test_pixels_that_end_early_refuse(run: Run, tmp_path: Path) -> None:
    source = save(mammogram(), tmp_path / "in.dcm")
    source.write_bytes(source.read_bytes()[:-20])
    with pytest.raises(RefusedError, match="pixel_data_truncated"):
        run(source)


@pytest.mark.parametrize("where", ["comment", "application"])
@pytest.mark.parametrize("pieces", [1, 3])
def test_text_in_a_marker_segment_becomes_zeros(run: Run, tmp_path: Path, where: str, pieces: int) -> None:
    text = b"Exam of somebody, 2nd visit."
    frame = jpeg(comment=text) if where == "comment" else jpeg(application=text)
    size = -(-len(frame) // pieces) // 2 * 2 + 2
    clean = frame.replace(text, bytes(len(text)))
    fragments, expected = ([jpeg(), *(f[i : i + size] for i in range(0, len(f), size))] for f in (frame, clean))
    assert len(fragments) == 1 + pieces
    source = save(compressed(fragments, NumberOfFrames=2), tmp_path / "in.dcm", JPEGBaseline8Bit)
    assert pydicom.dcmread(run(source)).PixelData == encapsulate(expected)


def test_what_an_encoder_calls_itself_stays_and_a_broken_codestream_refuses(run: Run, tmp_path: Path) -> None:
    harmless = compressed([jpeg(comment=b"Created by OpenJPEG 2.5")])
    source = save(harmless, tmp_path / "a.dcm", JPEGBaseline8Bit)
    assert pydicom.dcmread(run(source)).PixelData == pydicom.dcmread(source).PixelData
    broken = save(compressed([jpeg()[:40] + b"\xff\xfe\xff\xff"]), tmp_path / "b.dcm", JPEGBaseline8Bit)
    with pytest.raises(RefusedError, match="codestream_broken"):
        run(broken)


def test_deflated_data_is_inflated_only_so_far(run: Run, tmp_path: Path) -> None:
    source = save(mammogram(), tmp_path / "in.dcm", DeflatedExplicitVRLittleEndian)
    with pytest.raises(TooLargeError):
        read_header(source, most_inflated=1000)
    assert pydicom.dcmread(run(source)).PixelData == mammogram().PixelData


def test_header_is_what_pydicom_reads(tmp_path: Path) -> None:
    for number, syntax in enumerate(SYNTAXES):
        source = save(mammogram(), tmp_path / f"{number}.dcm", syntax)
        header = read_header(source)
        expected = pydicom.dcmread(source)
        assert header.pixels is not None
        assert source.read_bytes()[header.pixels.begin :] == expected.PixelData
        del expected.PixelData, header.dataset.PixelData
        assert header.dataset == expected


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
@pytest.mark.parametrize("side", [16, 700])
def test_digest_and_size_are_those_of_the_file(
    tmp_path: Path, headers_only: Any, pseudonyms: Any, syntax: Any, side: int
) -> None:
    pixels = np.random.default_rng(1).integers(0, 4096, (side, side), dtype=np.uint16).tobytes()
    source = save(mammogram(Rows=side, Columns=side, PixelData=pixels), tmp_path / "in.dcm", syntax)
    target = tmp_path / "out.dcm"
    written = deidentify_object(source, target, file_id="f", location="", profile=headers_only, pseudonyms=pseudonyms)
    assert written.sha256 == hashlib.sha256(target.read_bytes()).hexdigest()
    assert written.size == target.stat().st_size


def test_text_in_large_frames_becomes_zeros_across_blocks(run: Run, tmp_path: Path) -> None:
    comment = b"Exam of somebody. " * 3300
    segment = b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big")
    frame = jpeg()
    head, rest = frame[:2], frame[2:]
    full = head + (segment + comment) * 12 + rest
    clean = head + (segment + bytes(len(comment))) * 12 + rest
    source = save(compressed([full]), tmp_path / "in.dcm", JPEGBaseline8Bit)
    target = run(source)
    assert pydicom.dcmread(target).PixelData == encapsulate([clean])
    assert b"somebody" not in target.read_bytes()
