"""Frames of all encodings are read, blanked and stored again; damaged ones are refused."""

import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels import get_decoder
from pydicom.uid import (
    HTJ2KLossless,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from pipelines.deidentify.burned_in import DetectorError, TextSettings, clean_pixels
from pipelines.deidentify.frame_bits import Bits
from pipelines.deidentify.frames import Frames
from tests.deidentify.burning import breast, covered, draw, lossless, make, within

DATA = Path(__file__).parents[2].parent / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the folder of real files is absent")


def decoded(dataset: pydicom.Dataset) -> np.ndarray:
    """Decoded by imagecodecs or pydicom straight from the stored stream."""
    (frame,) = generate_frames(dataset.PixelData, number_of_frames=1)
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax == RLELossless:
        return get_decoder(RLELossless).as_array(dataset, raw=True)[0]
    decoders = {JPEGLosslessSV1: imagecodecs.jpegsof3_decode, JPEGLSLossless: imagecodecs.jpegls_decode}
    return decoders.get(syntax, imagecodecs.jpeg2k_decode)(frame)


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless, HTJ2KLossless, JPEGLosslessSV1, JPEGLSLossless])
def test_compressed_pixels_keep_their_syntax_and_every_pixel_outside_the_boxes(syntax):
    picture = breast(700, 600)
    place = draw(picture, "DOE JANE", 30, 400, 20, 4095)
    dataset = make(picture, NumberOfFrames=1)
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.PixelData = encapsulate([lossless(syntax, picture)])
    dataset["PixelData"].is_undefined_length = True
    dataset.ExtendedOffsetTable, dataset.ExtendedOffsetTableLengths = bytes(8), bytes(8)
    boxes = list(clean_pixels(dataset).boxes)
    assert covered(boxes, place, picture.shape) == 1
    assert {b.frame for b in boxes} == {1}
    assert dataset.file_meta.TransferSyntaxUID == syntax
    assert "ExtendedOffsetTable" not in dataset
    mask, after = within(boxes, picture.shape), decoded(dataset)
    assert np.array_equal(after[~mask], picture[~mask])
    assert set(after[mask].tolist()) == {int(picture.min())}


def test_lossy_pixels_are_stored_uncompressed_and_still_say_that_they_lost():
    picture = (breast(700, 600) >> 4).astype(np.uint8)
    draw(picture, "DOE JANE", 30, 400, 20, 255)
    frame = imagecodecs.jpeg8_encode(picture, level=90)
    shown = imagecodecs.jpeg8_decode(frame)
    dataset = make(picture, NumberOfFrames=1, LossyImageCompression="01")
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    dataset.PixelData = encapsulate([frame])
    dataset["PixelData"].is_undefined_length = True
    boxes = list(clean_pixels(dataset).boxes)
    mask = within(boxes, picture.shape)
    after = np.frombuffer(dataset.PixelData, np.uint8).reshape(picture.shape)
    assert dataset.file_meta.TransferSyntaxUID == pydicom.uid.ExplicitVRLittleEndian
    assert dataset.LossyImageCompression == "01"
    assert mask.any()
    assert np.array_equal(after[~mask], shown[~mask])


def test_monochrome1_signed_colour_and_planar_pixels_are_blanked_dark():
    picture = breast(700, 600)
    draw(picture, "DOE JANE", 30, 400, 20, 4095)
    inverted = make(4095 - picture, PhotometricInterpretation="MONOCHROME1", PixelPaddingValue=4095)
    mask = within(clean_pixels(inverted).boxes, picture.shape)
    assert set(np.frombuffer(inverted.PixelData, np.uint16).reshape(picture.shape)[mask]) == {(4095 - picture).max()}
    signed = make((picture.astype(np.int32) - 1000).astype(np.int16))
    mask = within(clean_pixels(signed).boxes, picture.shape)
    assert set(np.frombuffer(signed.PixelData, np.int16).reshape(picture.shape)[mask]) == {int(picture.min()) - 1000}
    gray = (picture >> 4).astype(np.uint8)
    colour = np.stack([gray, gray, gray // 2], axis=2)
    for planar, layout in ((0, colour), (1, np.moveaxis(colour, 2, 0))):
        dataset = make(colour, PlanarConfiguration=planar, PixelData=np.ascontiguousarray(layout).tobytes())
        mask = within(clean_pixels(dataset).boxes, picture.shape)
        after = np.frombuffer(dataset.PixelData, np.uint8).reshape(layout.shape)
        after = after if planar == 0 else np.moveaxis(after, 0, 2)
        assert mask.any()
        assert not after[mask].any()
        assert np.array_equal(after[~mask], colour[~mask])


def test_bits_that_are_not_stored_are_no_part_of_the_picture():
    picture = breast(700, 600)
    overlay = np.zeros_like(picture)
    draw(overlay, "DOE JANE", 30, 400, 20, 1)
    dataset = make(picture | overlay << 15, BitsStored=12, HighBit=11)
    assert np.array_equal(Frames.of(dataset).luminance(0), picture)


def test_single_bit_and_deflated_frames_are_read():
    picture = np.zeros((200, 600), np.uint8)
    draw(picture, "DOE JANE 1962", 80, 60, 32, 1)
    packed = np.packbits(picture.ravel(), bitorder="little").tobytes()
    dataset = make(
        picture,
        BitsAllocated=1,
        BitsStored=1,
        HighBit=0,
        PixelData=packed,
        Modality="OT",
        SOPClassUID="1.2.840.10008.5.1.4.1.1.7.1",
    )
    boxes = list(clean_pixels(dataset).boxes)
    after = np.unpackbits(np.frombuffer(dataset.PixelData, np.uint8), bitorder="little").reshape(picture.shape)
    assert boxes
    assert not after.any()
    stream = zlib.compressobj(wbits=-15)
    dataset.PixelData = encapsulate([stream.compress(packed) + stream.flush()])
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.8.1"
    assert np.array_equal(Frames.of(dataset).luminance(0), picture)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"Rows": 65535, "Columns": 65535}, "pixels_too_large"),
        ({"Rows": 701}, "pixels_undecodable"),
        ({"NumberOfFrames": 9}, "pixels_undecodable"),
        ({"SamplesPerPixel": 2}, "pixels_undecodable"),
        ({"BitsAllocated": None}, "pixels_undecodable"),
    ],
)
def test_pixels_that_the_header_does_not_describe_are_refused(values, reason):
    with pytest.raises(DetectorError, match=f"^{reason}$") as refusal:
        clean_pixels(make(breast(700, 600), **values))
    assert refusal.value.reason == reason


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless, JPEGLosslessSV1, JPEGLSLossless, JPEGBaseline8Bit])
def test_damaged_and_lying_streams_are_refused(syntax):
    dataset = make(breast(700, 600), NumberOfFrames=1)
    dataset.file_meta.TransferSyntaxUID = syntax
    other = lossless(syntax, breast(300, 200)) if syntax != JPEGBaseline8Bit else b"\xff\xd8\xff"
    for frame in (bytes(1000), other[:200], other):
        dataset.PixelData = encapsulate([frame])
        dataset["PixelData"].is_undefined_length = True
        with pytest.raises(DetectorError, match=r"^pixels_undecodable$"):
            clean_pixels(dataset)


@needs_data
def test_a_broken_real_frame_is_refused():
    with pytest.raises(DetectorError, match=r"^pixels_undecodable$"):
        clean_pixels(pydicom.dcmread(DATA / "dicom-mg" / "ge_essential_DXm.1459541791X2.dcm"))


OFF = TextSettings(mode="off")


def with_overlay(syntax: str | None = None) -> tuple[np.ndarray, pydicom.Dataset]:
    """A picture of 12 bits, and an object with a name in bit 15 of its cells."""
    picture = breast(700, 600)
    overlay = np.zeros_like(picture)
    draw(overlay, "DOE JANE", 30, 400, 20, 1)
    cells = picture | overlay << 15
    dataset = make(cells, BitsStored=12, HighBit=11, NumberOfFrames=1)
    if syntax:
        dataset.file_meta.TransferSyntaxUID = syntax
        dataset.PixelData = encapsulate([lossless(syntax, cells)])
        dataset["PixelData"].is_undefined_length = True
    return picture, dataset


def test_an_overlay_in_spare_bits_is_cleared_and_the_picture_stays():
    picture, dataset = with_overlay()
    cleaned = clean_pixels(dataset, OFF)
    assert (cleaned.boxes, cleaned.masked, cleaned.changed) == ((), True, True)
    assert dataset.PixelData == picture.tobytes()


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless, JPEGLSLossless, JPEGLosslessSV1])
def test_an_overlay_in_spare_bits_of_compressed_cells_is_cleared_too(syntax):
    picture, dataset = with_overlay(syntax)
    assert clean_pixels(dataset, OFF).masked
    assert dataset.file_meta.TransferSyntaxUID == syntax
    assert np.array_equal(decoded(dataset), picture)


def test_cells_without_anything_in_spare_bits_are_not_touched():
    picture = breast(700, 600)
    for cells, values in (
        (picture, {}),
        (picture.astype(np.int16) - 2000, {}),
        ((picture.astype(np.int16) - 2000) & 0x0FFF, {"PixelRepresentation": 1}),
        (picture >> 4 << 4, {"BitsStored": 12, "HighBit": 15}),
    ):
        dataset = make(cells, **({"BitsStored": 12, "HighBit": 11} | values))
        before = dataset.PixelData
        assert not clean_pixels(dataset, OFF).changed
        assert dataset.PixelData is before


@given(
    cells=st.lists(st.integers(0, 65535), min_size=1, max_size=20),
    stored=st.integers(1, 16),
    low=st.integers(0, 15),
    signed=st.booleans(),
)
def test_clearing_bits_keeps_every_value(cells, stored, low, signed):
    low = min(low, 16 - stored)
    pixels = np.array(cells, np.uint16).view(np.int16 if signed else np.uint16)
    bits = Bits(16, stored, low, signed)
    values = [(c >> low) & ((1 << stored) - 1) for c in cells]
    values = [v - (1 << stored) if signed and v >> (stored - 1) else v for v in values]
    assert bits.interpreted(pixels).tolist() == values
    cleared = pixels.copy()
    bits.clear(cleared)
    assert bits.interpreted(cleared).tolist() == values
    assert not bits.exceeded(cleared)


def test_lossy_frames_are_stored_uncompressed_in_their_order():
    frames = [(breast(300, 260, seed) >> 4).astype(np.uint8) for seed in (1, 2, 3)]
    draw(frames[1], "DOE JANE", 20, 150, 16, 255)
    streams = [imagecodecs.jpeg8_encode(frame, level=95) for frame in frames]
    dataset = make(np.stack(frames))
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    dataset.PixelData = encapsulate(streams)
    dataset["PixelData"].is_undefined_length = True
    mask = within(list(clean_pixels(dataset).boxes), frames[0].shape)
    after = np.frombuffer(dataset.PixelData, np.uint8).reshape(3, 300, 260)
    assert mask.any()
    assert all(
        np.array_equal(a[~mask], imagecodecs.jpeg8_decode(b)[~mask]) for a, b in zip(after, streams, strict=True)
    )
