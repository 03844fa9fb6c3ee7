"""Burned-in text is found and blanked; what is no text stays as it was."""

import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
import pytest
from PIL import Image, ImageDraw, ImageFont
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels import get_decoder, get_encoder
from pydicom.uid import (
    HTJ2KLossless,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from pipelines.deidentify import text_reading
from pipelines.deidentify.burned_in import (
    DetectorError,
    TextBox,
    TextSettings,
    blank,
    clean_pixels,
    find_text,
)
from pipelines.deidentify.frames import Frames
from pipelines.deidentify.text_candidates import find_breast, find_candidates

DATA = Path(__file__).parents[2].parent / "shared" / "data"
MG = "1.2.840.10008.5.1.4.1.1.1.2"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the folder of real files is absent")


def draw(picture: np.ndarray, text: str, top: int, left: int, height: int, value: int) -> tuple[slice, slice]:
    """Burn a text into a picture; where its ink lies."""
    font = ImageFont.load_default(height / 0.72)
    right, bottom = font.getbbox(text)[2:]
    image = Image.new("L", (int(right) + 4, int(bottom) + 4))
    ImageDraw.Draw(image).text((2, 2), text, 255, font=font)
    ink = np.asarray(image) / 255
    rows, columns = (np.flatnonzero(ink.max(axis)) for axis in (1, 0))
    ink = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    place = slice(top, top + ink.shape[0]), slice(left, left + ink.shape[1])
    under = picture[place].astype(float)
    picture[place] = (under * (1 - ink) + value * ink).astype(picture.dtype)
    return place


def breast(rows: int = 1400, columns: int = 1100, seed: int = 0) -> np.ndarray:
    """A half-disk of blurred noise with a soft edge on dark air, uint16 0…4095."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:rows, 0:columns]
    radius = ((y - rows / 2) / (0.42 * rows)) ** 2 + (x / (0.6 * columns)) ** 2
    thickness = 1 / (1 + np.exp(np.clip((radius - 1) / 0.02, -50, 50)))
    coarse = rng.normal(1800, 400, (rows // 40 + 1, columns // 40 + 1))
    tissue = np.asarray(Image.fromarray(coarse.astype(np.float32)).resize((columns, rows), Image.Resampling.BICUBIC))
    return np.clip(30 + thickness * tissue + rng.normal(0, 6, (rows, columns)), 0, 4095).astype(np.uint16)


def make(pixels: np.ndarray, **values) -> FileDataset:
    """An uncompressed object around frames of shape ([frames,] rows, columns[, 3])."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    dataset = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
    dataset._read_implicit, dataset._read_little = False, True
    dataset.set_original_encoding(False, True, "iso8859")
    dataset.SOPClassUID, dataset.Modality = MG, "MG"
    colour = pixels.shape[-1] == 3
    stack = pixels if pixels.ndim == (4 if colour else 3) else pixels[None]
    dataset.NumberOfFrames, dataset.Rows, dataset.Columns = stack.shape[:3]
    dataset.SamplesPerPixel = 3 if colour else 1
    dataset.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 8 * pixels.dtype.itemsize
    if colour:
        dataset.PlanarConfiguration = 0
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = 1 if pixels.dtype.kind == "i" else 0
    dataset.PixelData = stack.tobytes()
    dataset["PixelData"].VR = "OB" if pixels.dtype.itemsize == 1 else "OW"
    for name, value in values.items():
        setattr(dataset, name, value)
    return dataset


def covered(boxes: list[TextBox], place: tuple[slice, slice], shape: tuple[int, ...]) -> float:
    mask = np.zeros(shape[:2], bool)
    blank(mask, boxes, True)
    return float(mask[place].mean())


def within(boxes: list[TextBox], shape: tuple[int, ...]) -> np.ndarray:
    mask = np.zeros(shape[:2], bool)
    blank(mask, boxes, True)
    return mask


def test_a_clean_picture_has_no_box_and_is_not_read(monkeypatch):
    def refuse(*_):
        raise AssertionError("read")

    assert find_text(breast()) == []
    monkeypatch.setattr("pipelines.deidentify.text_reading._read", refuse)
    y, x = np.mgrid[0:1400, 0:1100]
    smooth = 3000 / (1 + np.exp(np.clip((np.hypot(y - 700, x) - 500) / 20, -50, 50)))
    noisy = smooth + np.random.default_rng(0).normal(100, 8, smooth.shape)
    assert find_text(noisy.astype(np.uint16)) == []


@pytest.mark.parametrize("monochrome1", [False, True])
def test_text_outside_the_breast_is_covered_and_tissue_is_not(monochrome1):
    picture = breast()
    small = draw(picture, "DOE^JANE 1962-03-14", 60, 700, 14, 4095)
    large = draw(picture, "ID 4711-0815", 1300, 640, 44, 900)
    stored = 4095 - picture if monochrome1 else picture
    boxes = find_text(stored, monochrome1=monochrome1)
    assert covered(boxes, small, picture.shape) == 1
    assert covered(boxes, large, picture.shape) == 1
    tissue = breast() > 1000
    assert (within(boxes, picture.shape) & tissue).sum() / tissue.sum() < 0.001


def test_text_over_the_breast_and_rotated_text_are_covered():
    picture = breast()
    over = draw(picture, "SMITH MARY", 600, 120, 28, 4095)
    turned = np.rot90(breast(1100, 1400, 1))[:, ::-1].copy()
    upright = draw(flipped := np.ascontiguousarray(np.rot90(turned)), "MEYER ANNA 14.03.1962", 30, 500, 20, 4000)
    assert covered(find_text(picture), over, picture.shape) > 0.95
    boxes = find_text(np.ascontiguousarray(np.rot90(flipped, -1)))
    mask = np.rot90(within(boxes, turned.shape))
    assert mask[upright].mean() > 0.95


def test_a_view_marker_stays_unless_told_otherwise_and_what_stands_beside_it_goes():
    picture = breast()
    marker = draw(picture, "R MLO", 80, 800, 48, 4095)
    name = draw(picture, "TECH: KOWALSKA", 200, 760, 24, 4095)
    boxes = find_text(picture)
    assert covered(boxes, marker, picture.shape) < 0.1
    assert covered(boxes, name, picture.shape) > 0.95
    everything = find_text(picture, settings=TextSettings(keep_markers=False))
    assert covered(everything, marker, picture.shape) > 0.9


@pytest.mark.parametrize(
    ("text", "marker"),
    [("R CC", True), ("LMLO", True), ("L-ML0", True), ("RIGHT", True), ("RXCCL", True), ("RCCID", True), ("L", True),
     ("JD", False), ("R CC JD", False), ("CC 12", False), ("DOE", False), ("", False)],
)  # fmt: skip
def test_markers_are_told_from_text(text, marker):
    assert text_reading.Line(0, 0, 1, 1, text, 1.0).is_marker is marker


def test_strokes_that_cannot_be_read_go_outside_the_breast_alone(monkeypatch):
    monkeypatch.setattr("pipelines.deidentify.text_reading._read", lambda *_: [])
    picture = breast()
    outside = draw(picture, "DOE JANE", 60, 800, 30, 4095)
    inside = draw(picture, "DOE JANE", 700, 200, 30, 4095)
    boxes = find_text(picture)
    assert covered(boxes, outside, picture.shape) == 1
    assert covered(boxes, inside, picture.shape) == 0


def test_specks_and_lines_are_no_text():
    picture = breast()
    picture[50:56, 900:906] = 4095
    picture[1380, :] = 4095
    picture[:, 1090] = 3000
    picture[700:704, 300:304] = 4095
    assert find_text(picture) == []


def lossless(name: str, frame: np.ndarray) -> bytes:
    if name == RLELossless:
        return get_encoder(RLELossless).encode(
            frame, rows=frame.shape[0], columns=frame.shape[1], number_of_frames=1, samples_per_pixel=1,
            bits_allocated=16, bits_stored=16, pixel_representation=0, photometric_interpretation="MONOCHROME2",
            pixel_keyword="PixelData",
        )  # fmt: skip
    return bytes(
        {
            JPEG2000Lossless: lambda: imagecodecs.jpeg2k_encode(frame, level=0, codecformat="j2k", reversible=True),
            HTJ2KLossless: lambda: imagecodecs.htj2k_encode(frame, reversible=True),
            JPEGLosslessSV1: lambda: imagecodecs.ljpeg_encode(frame, bitspersample=16),
            JPEGLSLossless: lambda: imagecodecs.jpegls_encode(frame, level=0),
        }[name]()
    )


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
    boxes = clean_pixels(dataset)
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
    boxes = clean_pixels(dataset)
    mask = within(boxes, picture.shape)
    after = np.frombuffer(dataset.PixelData, np.uint8).reshape(picture.shape)
    assert dataset.file_meta.TransferSyntaxUID == pydicom.uid.ExplicitVRLittleEndian
    assert dataset.LossyImageCompression == "01"
    assert mask.any()
    assert np.array_equal(after[~mask], shown[~mask])


def test_an_object_without_text_or_without_pixels_is_not_touched():
    picture = breast(700, 600)
    dataset = make(picture)
    before = dataset.PixelData
    assert clean_pixels(dataset) == []
    assert dataset.PixelData is before
    del dataset.PixelData
    assert clean_pixels(dataset) == []


def test_text_in_any_frame_is_blanked_in_all():
    frames = np.stack([breast(700, 600, seed) for seed in range(5)])
    first = draw(frames[3], "DOE JANE", 30, 400, 20, 4095)
    second = draw(frames[1], "4711-0815", 640, 400, 20, 4095)
    before = frames.copy()
    dataset = make(frames)
    boxes = clean_pixels(dataset)
    assert {b.frame for b in boxes} == {0}
    mask = within(boxes, frames.shape[1:])
    assert mask[first].all()
    assert mask[second].all()
    after = np.frombuffer(dataset.PixelData, np.uint16).reshape(frames.shape)
    assert np.array_equal(after[:, ~mask], before[:, ~mask])
    assert all(len(set(frame[mask].tolist())) == 1 for frame in after)


def test_monochrome1_signed_colour_and_planar_pixels_are_blanked_dark():
    picture = breast(700, 600)
    draw(picture, "DOE JANE", 30, 400, 20, 4095)
    inverted = make(4095 - picture, PhotometricInterpretation="MONOCHROME1", PixelPaddingValue=4095)
    mask = within(clean_pixels(inverted), picture.shape)
    assert set(np.frombuffer(inverted.PixelData, np.uint16).reshape(picture.shape)[mask]) == {(4095 - picture).max()}
    signed = make((picture.astype(np.int32) - 1000).astype(np.int16))
    mask = within(clean_pixels(signed), picture.shape)
    assert set(np.frombuffer(signed.PixelData, np.int16).reshape(picture.shape)[mask]) == {int(picture.min()) - 1000}
    gray = (picture >> 4).astype(np.uint8)
    colour = np.stack([gray, gray, gray // 2], axis=2)
    for planar, layout in ((0, colour), (1, np.moveaxis(colour, 2, 0))):
        dataset = make(colour, PlanarConfiguration=planar, PixelData=np.ascontiguousarray(layout).tobytes())
        mask = within(clean_pixels(dataset), picture.shape)
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
    boxes = clean_pixels(dataset)
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


def test_a_missing_model_refuses_and_nothing_is_downloaded(monkeypatch):
    monkeypatch.setattr(text_reading, "_MODELS", {"Det": "absent.onnx", "Rec": "absent.onnx"})
    text_reading._engine.cache_clear()
    picture = breast(700, 600)
    draw(picture, "DOE JANE", 30, 400, 20, 4095)
    try:
        with pytest.raises(DetectorError, match=r"^text_detector_missing$"):
            clean_pixels(make(picture))
    finally:
        text_reading._engine.cache_clear()


@needs_data
@pytest.mark.parametrize(
    "name",
    ["ge_essential_GH133.dcm", "ge_essential_2.25.2626.dcm", "rsna_10006_1864590858_tagged.dcm", "nema_MG1_JPLY"],
)
def test_no_box_touches_the_breast_of_a_real_mammogram(name):
    frames = Frames.of(pydicom.dcmread(DATA / "dicom-mg" / name))
    picture = frames.luminance(0)
    boxes = find_text(picture, monochrome1=frames.monochrome1)
    shown = picture.max() - picture if frames.monochrome1 else picture
    scene = find_breast(shown)
    assert 0.05 < scene.mask.mean() < 0.7
    assert not any(scene.touches((b.top, b.left, b.bottom, b.right)) for b in boxes)
    if name.startswith("ge"):
        assert boxes == []


@needs_data
def test_a_broken_real_frame_is_refused():
    with pytest.raises(DetectorError, match=r"^pixels_undecodable$"):
        clean_pixels(pydicom.dcmread(DATA / "dicom-mg" / "ge_essential_DXm.1459541791X2.dcm"))


@needs_data
def test_names_burned_into_real_pictures_go():
    dataset = pydicom.dcmread(DATA / "dicom-other" / "deid-data__GREYSCALE_IMAGE.dcm")
    before = text_reading.read_whole(Frames.of(dataset).luminance(0))
    assert sum(line.characters for line in before if line.score > 0.6) > 60
    assert clean_pixels(dataset)
    after = text_reading.read_whole(Frames.of(dataset).luminance(0))
    assert sum(line.characters for line in after if line.score > 0.6) <= 3


def test_candidates_say_where_they_lie():
    picture = breast()
    draw(picture, "DOE JANE", 60, 800, 30, 4095)
    draw(picture, "DOE JANE", 700, 200, 30, 4095)
    candidates = find_candidates(picture, find_breast(picture))
    assert {c.place for c in candidates} == {"outside", "inside"}
    assert all(c.box[1] >= 660 for c in candidates if c.place == "outside")
