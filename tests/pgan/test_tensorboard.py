"""Event files: checksums by published values, messages as the protocol buffer library reads them."""

import struct
import zlib
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from pipelines.pgan.tensorboard import EventWriter, crc32c

FIELD = descriptor_pb2.FieldDescriptorProto


def event_class():
    """The Event message from the fields of TensorFlow's event.proto and summary.proto that matter here."""
    file = descriptor_pb2.FileDescriptorProto(name="event.proto", package="t", syntax="proto3")
    layout = {
        "Image": [("height", 1, FIELD.TYPE_INT32), ("width", 2, FIELD.TYPE_INT32), ("colorspace", 3, FIELD.TYPE_INT32),
                  ("encoded_image_string", 4, FIELD.TYPE_BYTES)],
        "Value": [("tag", 1, FIELD.TYPE_STRING), ("simple_value", 2, FIELD.TYPE_FLOAT), ("image", 4, ".t.Image")],
        "Summary": [("value", 1, ".t.Value")],
        "SessionLog": [("status", 1, FIELD.TYPE_INT32)],
        "Event": [("wall_time", 1, FIELD.TYPE_DOUBLE), ("step", 2, FIELD.TYPE_INT64),
                  ("file_version", 3, FIELD.TYPE_STRING), ("summary", 5, ".t.Summary"),
                  ("session_log", 7, ".t.SessionLog")],
    }  # fmt: skip
    for name, members in layout.items():
        message = file.message_type.add(name=name)
        for field, number, kind in members:
            label = FIELD.LABEL_REPEATED if field == "value" else FIELD.LABEL_OPTIONAL
            own = message.field.add(name=field, number=number, label=label)
            if isinstance(kind, str):
                own.type, own.type_name = FIELD.TYPE_MESSAGE, kind
            else:
                own.type = kind
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("t.Event"))


def read_events(path: Path) -> list:
    data, events, place = path.read_bytes(), [], 0
    while place < len(data):
        head = data[place : place + 8]
        (length,) = struct.unpack("<Q", head)
        assert masked(head) == data[place + 8 : place + 12]
        record = data[place + 12 : place + 12 + length]
        assert masked(record) == data[place + 12 + length : place + 16 + length]
        events.append(event_class().FromString(record))
        place += 16 + length
    return events


def masked(data: bytes) -> bytes:
    """The mask of TFRecord: rotated right by 15 bits, plus a constant."""
    crc = crc32c(data)
    rotated = (crc >> 15) | ((crc & 0x7FFF) << 17)
    return struct.pack("<I", (rotated + 0xA282EAD8) % 2**32)


@pytest.mark.parametrize(
    ("data", "crc"),
    [
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(range(31, -1, -1)), 0x113FDB5C),
        (b"123456789", 0xE3069283),
    ],
)
def test_the_checksum_is_that_of_rfc_3720(data, crc):
    """RFC 3720, appendix B.4, and the check value of the CRC catalogue."""
    assert crc32c(data) == crc != zlib.crc32(data)


def test_what_was_written_is_read_by_the_protocol_buffer_library(tmp_path):
    writer = EventWriter(tmp_path / "log", 300)
    writer.scalars(308, {"loss/critic": 1.5, "loss/none": None, "memory": 3e9})
    writer.scalars(309, {"nothing": None})
    writer.picture(400_000, "samples", b"\x89PNG" + bytes(300), 20, 16)
    writer.restart(128)
    (path,) = (tmp_path / "log").iterdir()
    assert path.name.startswith("events.out.tfevents.")
    version, start, scalars, picture, back = read_events(path)
    assert version.file_version == "brain.Event:2"
    assert (start.step, start.session_log.status) == (300, 1)
    assert scalars.step == 308
    assert {v.tag: v.simple_value for v in scalars.summary.value} == {"loss/critic": 1.5, "memory": 3e9}
    (value,) = picture.summary.value
    assert (picture.step, value.tag, value.image.height, value.image.width) == (400_000, "samples", 20, 16)
    assert value.image.encoded_image_string == b"\x89PNG" + bytes(300)
    assert (value.image.colorspace, back.step, back.session_log.status) == (1, 128, 1)


def test_each_start_has_a_file_of_its_own(tmp_path):
    for step in (0, 8):
        EventWriter(tmp_path, step)
    assert len(list(tmp_path.iterdir())) == 2
