"""Whatever a file claims, it becomes a row with a reason: no crash, no memory beyond what a large mammogram takes."""

import os
import random
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pydicom
import pytest
import rle
from pydicom import uid
from pydicom.tag import Tag

from pipelines.normalize import delivery
from pipelines.normalize.mammogram import NormalizeSettings, Outcome, normalize_file
from pipelines.storage.tables import IMAGES, OBJECTS, read_table
from pipelines.storage.workers import Workers
from tests.normalize.compressing import encoded
from tests.normalize.confined import outcomes, write_all
from tests.normalize.drawing import draw_breast, wrap

PICTURE = draw_breast(150, 120)


def element(keyword: str, vr: str, value: bytes) -> bytes:
    """An element in explicit VR, little endian, with any bytes as its value."""
    value += b" " * (len(value) % 2)
    tag = Tag(keyword)
    head = struct.pack("<HH", tag.group, tag.element) + vr.encode()
    return head + (struct.pack("<xxI" if vr in ("OW", "SQ") else "<H", len(value))) + value


def write_with(path: Path, *elements: bytes, **replaced: Any) -> None:
    """Write a sound mammogram with elements put in before its pixels; the last of several with one tag counts."""
    path.parent.mkdir(exist_ok=True)
    wrap(PICTURE, **replaced).save_as(path, enforce_file_format=True)
    pixels = b"\xe0\x7f\x10\x00OW"
    path.write_bytes(path.read_bytes().replace(pixels, b"".join(elements) + pixels, 1))


def poked(frame: bytes, place: int, layout: str, *values: int) -> bytes:
    changed = bytearray(frame)
    struct.pack_into(layout, changed, place, *values)
    return bytes(changed)


def lossless(values: np.ndarray) -> bytes:
    return bytes(imagecodecs.jpeg8_encode(values, lossless=True, predictor=1, bitspersample=12))


def j2k(values: np.ndarray) -> bytes:
    options: dict[str, Any] = {"codecformat": "j2k", "reversible": True, "bitspersample": 12}
    return bytes(imagecodecs.jpeg2k_encode(values, level=0, **options))


def run_length(values: np.ndarray) -> bytes:
    rows, columns = values.shape
    options: dict[str, Any] = {"samples_per_pixel": 1, "bits_allocated": 16, "number_of_frames": 1, "byteorder": "<"}
    return bytes(rle.encode_pixel_data(values.astype("<u2").tobytes(), rows=rows, columns=columns, **options))


def test_a_legitimate_large_mammogram_fits(tmp_path: Path) -> None:
    """What the limits are measured by: the costliest syntax, at the size of the largest detectors."""
    values = draw_breast(4096, 3328)
    frame = bytes(imagecodecs.htj2k_encode(values))
    write_all(tmp_path, {"large": encoded(wrap(values), frame, uid.HTJ2KLossless)})
    assert outcomes(tmp_path) == {"large": ("kept", None)}


SIZES: dict[str, tuple[dict[str, Any], str]] = {
    "rows": ({"Rows": 65535, "Columns": 65535}, "absurd_size"),
    "rows_within_limits": ({"Rows": 8000, "Columns": 6000}, "truncated_pixels"),
    "no_rows": ({"Rows": 0}, "no_size"),
    "no_columns": ({"Columns": None}, "no_size"),
    "few_rows": ({"Rows": 110}, "size_mismatch"),
    "bits_0": ({"BitsStored": 0}, "unsupported_bits"),
    "bits_17": ({"BitsStored": 17}, "unsupported_bits"),
    "bits_32": ({"BitsAllocated": 32}, "unsupported_bits"),
    "bits_1": ({"BitsAllocated": 1}, "unsupported_bits"),
    "high_bit": ({"HighBit": 3}, "unsupported_bits"),
    "high_bit_99": ({"HighBit": 99}, "unsupported_bits"),
    "sign": ({"PixelRepresentation": 40000}, "unsupported_bits"),
    "samples": ({"SamplesPerPixel": 0}, "not_grayscale"),
}


def test_sizes_that_lie_give_a_reason(tmp_path: Path) -> None:
    write_all(tmp_path, {name: wrap(PICTURE, **elements) for name, (elements, _) in SIZES.items()})
    found = outcomes(tmp_path)
    assert {name: reason for name, (_, reason) in found.items()} == {
        name: reason for name, (_, reason) in SIZES.items()
    }
    assert {status for status, _ in found.values()} <= {"failed", "excluded"}


NUMBERS = (b"nan", b"-1", b"0", b"", b"1e300", b"inf", b"-inf", b"abc", b"1\\", b"\\\\", b"1e-300", b"\xff\xfe")


def test_numbers_without_sense_cost_no_more_than_themselves(tmp_path: Path) -> None:
    """Spacing, windows, rescale, frames and padding: the picture is kept, or a reason is given; nothing is raised."""
    count = 0
    for place, number in enumerate(NUMBERS):
        for keyword, vr, value in (
            ("ImagerPixelSpacing", "DS", number + b"\\" + number),
            ("WindowCenter", "DS", number),
            ("WindowWidth", "DS", number),
            ("RescaleSlope", "DS", number),
            ("RescaleIntercept", "DS", number),
            ("EstimatedRadiographicMagnificationFactor", "DS", number),
            ("PatientAge", "AS", number),
            ("NumberOfFrames", "IS", number),
        ):
            write_with(tmp_path / f"{keyword}_{place}", element(keyword, vr, value))
            count += 1
    for place, value in enumerate((b"", b"\1\0\1\0", b"\xff\xff", b"\0\0")):
        for keyword in ("PixelPaddingValue", "PixelPaddingRangeLimit", "Rows", "BitsStored", "HighBit"):
            write_with(tmp_path / f"{keyword}_{place}", element(keyword, "US", value), PixelPaddingValue=0)
            count += 1
    write_with(tmp_path / "frames_huge", element("NumberOfFrames", "IS", b"999999999999"))
    found = outcomes(tmp_path)
    assert all(reason for status, reason in found.values() if status != "kept")
    assert found["frames_huge"] == ("excluded", "tomosynthesis")
    assert sum(status == "kept" for status, _ in found.values()) > 0.8 * count


def test_lookup_tables_that_lie_cost_no_more_than_themselves(tmp_path: Path) -> None:
    data = np.linspace(0, 4095, 4096).astype("<u2").tobytes()
    tables = (
        ((4096, 0, 12), data),
        ((0, 0, 16), data),
        ((65535, 65535, 16), data),
        ((4096, 0, 99), data),
        ((4096, 0, 12), b""),
        ((4096, 0, 12), b"\0\0"),
        ((1, 0, 12), data),
        ((), data),
        ((4096,), data),
    )
    for place, (descriptor, entries) in enumerate(tables):
        item = element("LUTDescriptor", "US", struct.pack(f"<{len(descriptor)}H", *descriptor))
        item += element("LUTData", "OW", entries)
        item = b"\xfe\xff\x00\xe0" + struct.pack("<I", len(item)) + item
        for sequence in ("VOILUTSequence", "ModalityLUTSequence"):
            write_with(tmp_path / f"{sequence}_{place}", element(sequence, "SQ", item))
            write_with(tmp_path / f"{sequence}_empty", element(sequence, "SQ", b""))
            write_with(tmp_path / f"{sequence}_bare", element(sequence, "SQ", b"\xfe\xff\x00\xe0\0\0\0\0"))
    assert set(outcomes(tmp_path).values()) == {("kept", None)}


def lying_streams() -> dict[str, tuple[pydicom.Dataset, set[str]]]:
    """Codestreams whose claims, and those of their headers, are not borne out; and the reasons that they may get."""
    jpeg, wavelet, lines = lossless(PICTURE), j2k(PICTURE), bytes(imagecodecs.jpegls_encode(PICTURE))
    size, lines_size = jpeg.index(b"\xff\xc3") + 5, lines.index(b"\xff\xf7") + 5
    segments = run_length(PICTURE)
    huge = {"Rows": 7000, "Columns": 7000}
    beyond = {"Rows": 65535, "Columns": 65535}

    def compressed(frame: bytes, syntax: str = uid.JPEGLossless, **elements: Any) -> pydicom.Dataset:
        return encoded(wrap(PICTURE, **elements), frame, syntax)

    # Nothing tells a JPEG 2000 stream that leaves most of its packets out from one that is black there.
    refused = {"unsupported_syntax", "damaged_pixels", "truncated_pixels", "out_of_memory"}
    return {
        "jpeg_claims": (compressed(poked(jpeg, size, ">HH", 65535, 65535)), {"size_mismatch"}),
        "jpeg_claims_with_header": (compressed(poked(jpeg, size, ">HH", 65535, 65535), **beyond), {"absurd_size"}),
        "jpeg_bomb": (compressed(poked(jpeg, size, ">HH", 7000, 7000), **huge), {"truncated_pixels"}),
        "jpeg_zero": (compressed(poked(jpeg, size, ">HH", 0, 0)), {"size_mismatch"}),
        "jpeg_color": (compressed(poked(jpeg, size + 4, ">B", 3)), {"size_mismatch"}),
        "jpeg_bits": (compressed(poked(jpeg, size - 1, ">B", 255)), {"bits_mismatch"}),
        "lines_claims": (compressed(poked(lines, lines_size, ">HH", 65535, 65535)), {"size_mismatch"}),
        "lines_bomb": (compressed(poked(lines, lines_size, ">HH", 7000, 7000), **huge), refused),
        "wavelet_claims": (compressed(poked(wavelet, 8, ">II", 2**32 - 1, 2**32 - 1)), {"unsupported_syntax"}),
        "wavelet_bomb": (
            compressed(poked(poked(wavelet, 8, ">II", 7000, 7000), 24, ">II", 7000, 7000), **huge),
            refused | {"breast_not_found"},
        ),
        "wavelet_tiles": (compressed(poked(wavelet, 24, ">II", 1, 1)), {"unsupported_syntax"}),
        "wavelet_few_tiles": (compressed(poked(wavelet, 24, ">II", 100, 100)), {"truncated_pixels"}),
        "wavelet_no_tiles": (compressed(poked(wavelet, 24, ">II", 0, 0)), {"unsupported_syntax"}),
        "wavelet_tile_huge": (compressed(poked(wavelet, 24, ">II", 2**32 - 1, 2**32 - 1)), refused | {"kept"}),
        "wavelet_levels": (compressed(poked(wavelet, 54, ">B", 32)), refused),
        "wavelet_layers": (compressed(poked(wavelet, 51, ">H", 65535)), {"unsupported_syntax"}),
        "wavelet_components": (compressed(poked(wavelet, 40, ">H", 16384)), {"size_mismatch"} | refused),
        "rle_offsets": (compressed(poked(segments, 4, "<II", 64, 2**32 - 1), uid.RLELossless), refused),
        "rle_backwards": (compressed(poked(segments, 4, "<II", 64, 0), uid.RLELossless), refused),
        "rle_segments": (compressed(poked(segments, 0, "<I", 15), uid.RLELossless), refused),
        "rle_bomb": (compressed(segments[:64] + b"\x81\xff" * 9000, uid.RLELossless), refused),
        "rle_runs_over": (compressed(poked(segments, 8, "<I", len(segments) - 4), uid.RLELossless), refused),
        "rle_rows": (compressed(segments, uid.RLELossless, **huge), refused),
        "nothing": (compressed(b"\0\0"), refused),
        "video": (compressed(b"\0\0\1\xb3" * 30, uid.MPEG2MPML), refused),
    }


def test_codestreams_that_lie_give_a_reason(tmp_path: Path) -> None:
    cases = lying_streams()
    write_all(tmp_path, {name: dataset for name, (dataset, _) in cases.items()})
    for name, (status, reason) in outcomes(tmp_path).items():
        assert (reason or status) in cases[name][1], (name, status, reason)


def test_fragments_and_offset_tables_that_lie(tmp_path: Path) -> None:
    good = encoded(wrap(PICTURE), lossless(PICTURE), uid.JPEGLosslessSV1)
    data = good.PixelData

    def cased(value: bytes, **elements: Any) -> pydicom.Dataset:
        dataset = encoded(wrap(PICTURE, **elements), b"ab", uid.JPEGLosslessSV1)
        dataset.PixelData = value
        return dataset

    item = b"\xfe\xff\x00\xe0"
    write_all(
        tmp_path,
        {
            "table": cased(data[:8] + struct.pack("<I", 2**31) + data[12:]),
            "table_cut": cased(item + struct.pack("<I", 3) + b"\1\2\3" + data[12:]),
            "table_alone": cased(item + struct.pack("<I", 0)),
            "length_over": cased(poked(data, 16, "<I", 2**32 - 2)),
            "length_short": cased(poked(data, 16, "<I", 64)),
            "undefined": cased(poked(data, 16, "<I", 2**32 - 1)),
            "empty_fragments": cased(data[:12] + (item + b"\0\0\0\0") * 5000 + data[12:]),
            "frames": cased(data, NumberOfFrames=2**31 - 1),
            "frames_below": cased(data, NumberOfFrames=-7),
        },
    )
    found = outcomes(tmp_path)
    kept = {name for name, (status, _) in found.items() if status == "kept"}
    assert {"table", "frames_below"} <= kept <= {"table", "table_cut", "frames_below", "empty_fragments"}
    assert found["frames"] == ("excluded", "tomosynthesis")
    assert all(reason for name, (_, reason) in found.items() if name not in kept)


def test_deflated_bomb_is_not_inflated(tmp_path: Path) -> None:
    wrap(PICTURE).save_as(tmp_path / "plain", enforce_file_format=True)
    whole = (tmp_path / "plain").read_bytes().replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.1.99", 1)
    (tmp_path / "plain").unlink()
    meta_end = whole.index(b"\x08\x00\x08\x00CS")  # the first element behind the meta information
    meta = bytearray(whole[:meta_end])
    place = meta.index(b"1.2.840.10008.1.2.1.99")
    struct.pack_into("<H", meta, place - 2, 22)
    struct.pack_into("<I", meta, 140, struct.unpack_from("<I", meta, 140)[0] + 2)
    deflater = zlib.compressobj(1, wbits=-15)
    body = deflater.compress(whole[meta_end : -PICTURE.nbytes]) + deflater.flush(zlib.Z_FULL_FLUSH)
    zeros = deflater.compress(bytes(1 << 24)) + deflater.flush(zlib.Z_FULL_FLUSH)
    (tmp_path / "bomb").write_bytes(bytes(meta) + body + zeros * 256)  # 4 GB
    pixels = zlib.compressobj(1, wbits=-15)
    sound = bytes(meta) + pixels.compress(whole[meta_end:]) + pixels.flush()
    (tmp_path / "sound").write_bytes(sound)
    (tmp_path / "cut").write_bytes(sound[:-5000])
    assert outcomes(tmp_path) == {
        "bomb": ("failed", "absurd_size"),
        "sound": ("kept", None),
        "cut": ("failed", "truncated_pixels"),
    }


def test_files_cut_anywhere_give_a_reason(tmp_path: Path) -> None:
    """A cut in the pixels is told as such, and does not take the header with it."""
    sources = {
        "native": wrap(PICTURE),
        "jpeg": encoded(wrap(PICTURE), lossless(PICTURE), uid.JPEGLosslessSV1),
        "lines": encoded(wrap(PICTURE), bytes(imagecodecs.jpegls_encode(PICTURE)), uid.JPEGLSLossless),
        "wavelet": encoded(wrap(PICTURE), j2k(PICTURE), uid.JPEG2000Lossless),
        "rle": encoded(wrap(PICTURE), run_length(PICTURE), uid.RLELossless),
    }
    expected = {}
    for name, dataset in sources.items():
        dataset.save_as(tmp_path / "whole", enforce_file_format=True)
        whole = (tmp_path / "whole").read_bytes()
        (tmp_path / "whole").unlink()
        start = whole.index(b"\xe0\x7f\x10\x00")
        for cut in range(start + 60, len(whole) - 20, (len(whole) - start) // 12):
            (tmp_path / f"{name}_{cut}").write_bytes(whole[:cut])
            expected[f"{name}_{cut}"] = ("failed", "truncated_pixels")
        for cut in (0, 131, 140, 200, start // 2, start - 3):
            (tmp_path / f"{name}_{cut}").write_bytes(whole[:cut])
            expected[f"{name}_{cut}"] = ("excluded", "no_pixels")
    assert outcomes(tmp_path) == expected


def mutated(frame: bytes, count: int, seed: int) -> Iterator[bytes]:
    """A frame with bytes changed, mostly in its headers, cut out, put in, or cut off."""
    rng = random.Random(seed)
    for _ in range(count):
        changed = bytearray(frame)
        match rng.randrange(4):
            case 0:
                for _ in range(rng.randrange(1, 5)):
                    changed[rng.randrange(min(160, len(frame)))] = rng.choice((0, 1, 128, 255, rng.randrange(256)))
            case 1:
                for _ in range(rng.randrange(1, 9)):
                    changed[rng.randrange(len(frame))] = rng.randrange(256)
            case 2:
                place = rng.randrange(len(frame))
                changed[place : place + rng.randrange(40)] = rng.randbytes(rng.randrange(40))
            case 3:
                changed = changed[: rng.randrange(2, len(frame))] + b"\xff\xd9"
        yield bytes(changed)


FRAMES: dict[str, Callable[[np.ndarray], bytes]] = {
    "lossless": lossless,
    "dct": lambda values: bytes(imagecodecs.jpeg8_encode(values, level=90, bitspersample=12)),
    "lines": lambda values: bytes(imagecodecs.jpegls_encode(values)),
    "near": lambda values: bytes(imagecodecs.jpegls_encode(values, level=3)),
    "wavelet": j2k,
    "wavelet_lossy": lambda values: bytes(imagecodecs.jpeg2k_encode(values, level=50, codecformat="j2k")),
    "htj2k": lambda values: bytes(imagecodecs.htj2k_encode(values)),
    "rle": run_length,
}


def test_damaged_codestreams_give_a_row_each(tmp_path: Path) -> None:
    """Ten thousands of such frames were tried; these few keep watch over later versions of the codecs."""
    small = draw_breast(140, 110)
    for kind, encode in FRAMES.items():
        objects = {
            f"{kind}_{number}": encoded(wrap(small), frame, uid.RLELossless if kind == "rle" else uid.JPEG2000)
            for number, frame in enumerate(mutated(encode(small), 40, seed=len(kind)))
        }
        write_all(tmp_path, objects)
    found = outcomes(tmp_path)
    assert all(reason for status, reason in found.values() if status != "kept")
    assert sum(status == "failed" for status, _ in found.values()) > len(found) / 3
    assert not any(str(reason).startswith("error_") for _, reason in found.values())


def crashing(path: Path, settings: NormalizeSettings) -> Outcome:
    """Normalize, but die of a segmentation fault in a decoder's place where the file asks for it."""
    if path.name == "crash.dcm":
        os.kill(os.getpid(), 11)
    return normalize_file(path, settings)


def test_a_decoder_that_kills_its_process_costs_one_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "objects"
    write_all(folder, {name: wrap(PICTURE) for name in ("a.dcm", "crash.dcm", "b.dcm", "c.dcm")})
    rows = [
        {
            "file_id": f"F-{number}",
            "status": "written",
            "path": name,
            "sha256": "0" * 64,
            "patient": "P-1",
            "sop_instance_uid": f"2.25.{number}",
        }
        for number, name in enumerate(("a.dcm", "crash.dcm", "b.dcm", "c.dcm"))
    ]
    monkeypatch.setattr(delivery, "normalize_file", crashing)
    out = tmp_path / "out"
    out.mkdir()
    summary = delivery.normalize_delivery(
        OBJECTS.build(rows), folder, delivery="D-20260101-00", folder=out, workers=Workers(processes=2)
    )
    found = [(row["status"], row["reason"]) for row in read_table(out / "images.parquet", IMAGES).to_pylist()]
    assert found == [("kept", None), ("failed", "worker_died"), ("kept", None), ("kept", None)]
    assert summary.reasons == {"worker_died": 1}
