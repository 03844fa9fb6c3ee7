"""Whatever a data set holds, and however it is encoded: what is written is whole and clean, or nothing is written."""

import io
import re
import subprocess
import zlib
from pathlib import Path
from typing import Any

import pydicom
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pydicom._dicom_dict import DicomDictionary
from pydicom.dataset import Dataset

from pipelines.deidentify.confidentiality import concrete_tags, rule_of
from pipelines.deidentify.objects import deidentify_object
from pipelines.deidentify.profile import Profile, load_profile
from pipelines.deidentify.pseudonyms import Pseudonyms
from pipelines.deidentify.reading import quiet
from pipelines.deidentify.refusals import RefusedError
from pipelines.storage.keys import Key
from tests.deidentify.conftest import MG
from tests.deidentify.encoding import LONG, SYNTAXES, Element, encoded, fragments, part10

NAME, UID, PATIENT = "ZQKOWALEN", "1.2.276.0.99.1234567.1", "MRN00982317"
PSEUDONYMS = Pseudonyms(Key(bytes(range(32))))
PIXELS = bytes(range(200)) * 2
_RLE = (
    b"".join(each.to_bytes(4, "little") for each in (2, 64, 266))
    + bytes(52)
    + 2 * (b"\x7f" + PIXELS[:128] + b"\x47" + PIXELS[128:200])
)
_JPEG = b"\xff\xd8\xff\xda\0\2" + PIXELS[:200] + b"\xff\xd9"
FRAGMENTS = {"rle": fragments(_RLE), "jpeg": fragments(_JPEG[:100], _JPEG[100:])}
"""One frame of 10 rows of 20 pixels, in literal runs; and markers with what may be a scan between them."""

CHARACTER_SETS = {
    "default": ("", "ascii", "Xyvander"),
    "latin": ("ISO_IR 100", "latin-1", "Zqüvändér"),
    "greek": ("ISO_IR 126", "iso8859-7", "Διονυσιος"),
    "cyrillic": ("ISO_IR 144", "iso8859-5", "Люксембург"),
    "utf-8": ("ISO_IR 192", "utf-8", "Zqüvändér山田"),
    "chinese": ("GB18030", "gb18030", "张小东王"),
    "gbk": ("GBK", "gbk", "张小东王"),
    "katakana": ("ISO_IR 13", "shift_jis", "ﾔﾏﾀﾀﾛｳ"),
    "japanese": ("\\ISO 2022 IR 87", "iso2022_jp", "山田太郎"),
    "korean": ("\\ISO 2022 IR 149", "korean", "김희중박"),
}
"""Specific Character Set, Python codec, and a name that can be written in it."""


def as_bytes(text: str, codec: str) -> bytes:
    if codec == "korean":
        return b"".join(
            p.encode() if p.isascii() else b"\x1b$)C" + p.encode("euc_kr") for p in re.split(r"([^ -~]+)", text)
        )
    return text.encode(codec)


SKIPPED = {
    0x00080005, 0x00080016, 0x00080018, 0x00100010, 0x00100020, 0x00280002, 0x00280008, 0x00280010, 0x00280011,
    0x00280100, 0x00420011, 0x54000100, 0x00700008, 0x00080020,
}  # fmt: skip
VRS = {tag: entry[0].split(" or ")[0] for tag, entry in DicomDictionary.items() if 0x0007 < tag >> 16 < 0x7FE0}
VRS |= {tag: rule.vr for tag in concrete_tags() if tag >> 16 > 6 and (rule := rule_of(tag)) and tag < 0x7FE00000}
VRS = {tag: vr for tag, vr in VRS.items() if vr != "NONE" and tag not in SKIPPED}
TAGS = {kind: sorted(tag for tag, vr in VRS.items() if (vr == "SQ") is kind) for kind in (True, False)}
ANY_VR = sorted({*VRS.values()} - {"SQ"})
TEXTS = frozenset({"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"})
SIZES = {"US": 2, "SS": 2, "UL": 4, "SL": 4, "AT": 4, "FL": 4, "FD": 8, "SV": 8, "UV": 8, "OW": 2, "OF": 4, "OD": 8}
TIMES = {"DA": "20180309", "DT": "20180309101112.5+0100", "TM": "101112", "AS": "045Y"}


@st.composite
def values(draw: Any, vr: str, codec: str, native: str) -> bytes:
    """A value of the VR, or nothing like it; the patient's name in texts, codes, and where numbers should be."""
    if vr in SIZES or vr in ("OB", "UN", "OL", "OV"):
        count = draw(st.integers(0, 4)) * SIZES.get(vr, 1) + draw(st.sampled_from([0] * 9 + [1, 2, 3]))
        return bytes(draw(st.binary(min_size=count, max_size=count)))
    if vr == "UI":
        return draw(st.sampled_from([UID, "1.2.840.10008.5.1.4.1.1.7", f"{UID}\\{UID}", "", "no uid"])).encode()
    likely = TIMES.get(vr, "12.5" if vr in ("DS", "IS") else "BREAST")
    odd = draw(st.sampled_from(["", "\\", "00000000", "0099", f"{likely}\\{likely}", f" {likely} "]))
    written = f"{NAME} {native} seen" if vr in TEXTS else f"{NAME}"
    text = draw(st.sampled_from([likely, likely, odd, written, f"{likely}\\{NAME}", native if vr in TEXTS else likely]))
    if vr not in LONG and vr not in ("LT", "ST", "LO", "PN"):
        text = text[:40]
    return as_bytes(text, codec)


@st.composite
def elements(draw: Any, codec: str, native: str, depth: int) -> list[Element]:
    found = []
    for tag in draw(st.lists(st.sampled_from(TAGS[False]), max_size=8, unique=True)):
        vr = draw(st.sampled_from([VRS[tag]] * 9 + [draw(st.sampled_from(ANY_VR))]))
        found.append(Element(tag, vr, draw(values(vr, codec, native))))
    extras = [
        Element(0x00191010, "LO", as_bytes(f"{NAME} {native}", codec)),
        Element(0x00190010, "LO", b"MAKER"),
        Element(0x60000022, "LO", NAME.encode()),
        Element(0x60023000, "OW", NAME.encode() + b"    "),
        Element(0x50000030, "SH", NAME.encode()),
        Element(0x00080000, "UL", b"\x04\0\0\0"),
        Element(0x00281199, "LO", NAME.encode()),
        Element(0x00081155, "UI", UID.encode()),
        Element(0x00041500, "CS", NAME.encode()),
        Element(0x00100010, "PN", as_bytes(f"{NAME}^{native}", codec)),
    ]
    found += draw(st.lists(st.sampled_from(extras), max_size=4, unique_by=lambda element: element.tag))
    if depth:
        for tag in draw(st.lists(st.sampled_from(TAGS[True]), max_size=2, unique=True)):
            items = draw(st.lists(elements(codec, native, depth - 1), max_size=2))
            found.append(Element(tag, draw(st.sampled_from(["SQ", "SQ", "SQ", "UN"])), items, draw(st.booleans())))
    return found


def base(charset: str, codec: str, native: str, syntax: str) -> list[Element]:
    pixels: Any = PIXELS
    size = {"big": "big"}.get(syntax, "little")
    numbers = {
        0x00280002: 1,
        0x00280010: 10,
        0x00280011: 20,
        0x00280100: 16,
        0x00280101: 16,
        0x00280102: 15,
        0x00280103: 0,
    }
    made = [
        Element(0x00080005, "CS", charset.encode()),
        Element(0x00080016, "UI", MG.encode()),
        Element(0x00080018, "UI", UID.encode()),
        Element(0x00080020, "DA", b"20180309"),
        Element(0x00100010, "PN", as_bytes(f"{NAME}^Jadwiga={native}", codec)),
        Element(0x00101001, "PN", as_bytes(f"{NAME}^{native}", codec)),
        Element(0x00100020, "LO", PATIENT.encode()),
        Element(0x00280004, "CS", b"MONOCHROME2"),
        *(Element(tag, "US", value.to_bytes(2, size)) for tag, value in numbers.items()),  # type: ignore[arg-type]
    ]
    if syntax in FRAGMENTS:
        return [*made, Element(0x7FE00010, "OB", FRAGMENTS[syntax], length=0xFFFFFFFF)]
    return [*made, Element(0x7FE00010, "OW", pixels)]


@st.composite
def files(draw: Any) -> tuple[bytes, str, str]:
    """A file, the name of its character set and of its transfer syntax."""
    name, syntax = draw(st.sampled_from(sorted(CHARACTER_SETS))), draw(st.sampled_from(sorted(SYNTAXES)))
    charset, codec, native = CHARACTER_SETS[name]
    made = [*base(charset, codec, native, syntax), *draw(elements(codec, native, draw(st.integers(0, 5))))]
    behind = [Element(0xFFFCFFFC, "OB", NAME.encode() * 2)] if draw(st.booleans()) else []
    return part10([*made, *behind], syntax, preamble=NAME.encode().ljust(128)), name, syntax


@pytest.fixture(scope="module")
def folder(tmp_path_factory: Any) -> Path:
    return tmp_path_factory.mktemp("properties")  # type: ignore[no-any-return]


def outcome(data: bytes, folder: Path, profile: Profile, name: str = "out") -> bytes | str:
    """The bytes that are written, or the reason why none are."""
    source, target = folder / "in.dcm", folder / f"{name}.dcm"
    source.write_bytes(data)
    target.unlink(missing_ok=True)
    try:
        deidentify_object(source, target, file_id="f", location="", profile=profile, pseudonyms=PSEUDONYMS)
    except RefusedError as error:
        refused = error
    else:
        return target.read_bytes()
    assert re.fullmatch(r"[a-z]+(_[a-z0-9]+)*", refused.reason)
    assert refused.__cause__ is None
    assert refused.__suppress_context__ or refused.__context__ is None
    assert not target.exists()
    return refused.reason


def plain(written: bytes) -> bytes:
    """A written file's bytes, a deflated data set inflated."""
    with quiet():
        read = pydicom.dcmread(io.BytesIO(written), specific_tags=[0x00080016])
    if read.file_meta.TransferSyntaxUID == SYNTAXES["deflated"]:
        start = 132 + 12 + read.file_meta.FileMetaInformationGroupLength
        return written[:start] + zlib.decompress(written[start:], -zlib.MAX_WBITS)
    return written


def check_clean(written: bytes) -> None:
    data = plain(written)
    assert written[:128] == bytes(128)
    assert NAME.encode() not in data.upper()
    assert PATIENT.encode() not in data
    assert UID.encode() not in data
    header = data[: data.find(PIXELS[:50])] if PIXELS[:50] in data else data
    for _, codec, native in CHARACTER_SETS.values():
        encodings = [as_bytes(native, codec), native.encode(), native.encode("utf-16-le")]
        assert [e for e in encodings if len(e) > 5 and e in header] == []


def check_whole(written: bytes, folder: Path) -> Dataset:
    read = pydicom.dcmread(io.BytesIO(written))
    with quiet():
        for element in read.iterall():
            str(element)
    path = folder / "checked.dcm"
    path.write_bytes(written)
    run = subprocess.run(["dcmdump", "--quiet", path], capture_output=True, check=False)
    assert (run.returncode, run.stderr) == (0, b"")
    return read


@pytest.fixture(scope="module")
def default() -> Profile:
    return load_profile()


BOUNDED = settings(
    max_examples=100,
    phases=(Phase.reuse, Phase.generate),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
OUTCOMES: dict[str, int] = {}


@BOUNDED
@given(files())
def test_any_data_set_is_written_whole_and_clean_or_refused(
    folder: Path, default: Profile, file: tuple[bytes, str, str]
) -> None:
    data, _, syntax = file
    written = outcome(data, folder, default)
    kind = written if isinstance(written, str) else "written"
    OUTCOMES[kind] = OUTCOMES.get(kind, 0) + 1
    if isinstance(written, str):
        return
    check_clean(written)
    read = check_whole(written, folder)
    pixels = FRAGMENTS[syntax][:-8] if syntax in FRAGMENTS else PIXELS
    assert read.PixelData == pixels
    assert read.file_meta.TransferSyntaxUID == SYNTAXES[syntax]
    uids = {str(e.value) for e in read.iterall() if e.keyword == "ReferencedSOPInstanceUID" and e.VM == 1}
    assert uids <= {read.SOPInstanceUID, "no uid", "1.2.840.10008.5.1.4.1.1.7"} | {PSEUDONYMS.uid("no uid")}
    assert outcome(data, folder, default, "again") == written
    second = outcome(written, folder, default, "second")
    assert isinstance(second, bytes), second
    check_whole(second, folder)


def test_most_were_written() -> None:
    """Refusing everything would be clean as well."""
    if sum(OUTCOMES.values()) < 50:
        pytest.skip("the examples were not all run")
    assert OUTCOMES["written"] > 0.7 * sum(OUTCOMES.values()), OUTCOMES


def hostile(syntax: str, *more: Element) -> bytes:
    return part10([*base(*CHARACTER_SETS["latin"], syntax), *more], syntax)


NESTED = [
    Element(0x00081140, "SQ", [[Element(0x00081155, "UI", UID.encode()), Element(0x00100010, "PN", b"ZQKOWALEN")]])
]
HIDING = [
    Element(0x00081140, "SQ", [NESTED, NESTED], undefined=True),
    Element(0x00082218, "SQ", [NESTED]),
    Element(0x00400555, "UN", [NESTED]),
    Element(0x00102160, "SH", NAME.encode()),
    Element(0x00181400, "LO", f"{NAME} seen".encode()),
    Element(0x00321060, "LO", f"for {NAME}".encode()),
    Element(0x00204000, "LT", f"{NAME}, {PATIENT}".encode()),
]
DAMAGEABLE = {syntax: hostile(syntax, *HIDING) for syntax in SYNTAXES}


def ends(syntax: str) -> set[int]:
    """Where a file can end without an element being cut."""
    whole = sorted([*base(*CHARACTER_SETS["latin"], syntax), *HIDING], key=lambda element: element.tag)
    return {len(part10(whole[:count], syntax)) for count in range(len(whole))} if syntax != "deflated" else set()


ENDS = {syntax: ends(syntax) for syntax in SYNTAXES}


def is_bounded_and_clean(data: bytes, folder: Path, profile: Profile) -> None:
    import resource

    before = resource.getrusage(resource.RUSAGE_SELF)
    written = outcome(data, folder, profile)
    after = resource.getrusage(resource.RUSAGE_SELF)
    assert after.ru_utime - before.ru_utime < 5
    assert after.ru_maxrss - before.ru_maxrss < 300_000
    if isinstance(written, bytes):
        check_clean(written)
        check_whole(written, folder)


@BOUNDED
@given(st.sampled_from(sorted(SYNTAXES)), st.floats(0, 1), st.data())
def test_truncated_files(folder: Path, default: Profile, syntax: str, part: float, data: Any) -> None:
    whole = DAMAGEABLE[syntax]
    cut = whole[: int(len(whole) * part)]
    written = outcome(cut, folder, default)
    if isinstance(written, bytes):
        assert any(end <= len(cut) and not cut[end:].strip(b"\0") for end in (len(whole), *ENDS[syntax]))
        check_clean(written)


@BOUNDED
@given(
    st.sampled_from(sorted(SYNTAXES)),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 7)), min_size=1, max_size=6),
)
def test_flipped_bits(folder: Path, default: Profile, syntax: str, flips: list[tuple[float, int]]) -> None:
    data = bytearray(DAMAGEABLE[syntax])
    for part, bit in flips:
        data[int(part * len(data))] ^= 1 << bit
    is_bounded_and_clean(bytes(data), folder, default)


@BOUNDED
@given(
    st.sampled_from(["implicit", "explicit", "big", "rle"]),
    st.floats(0, 1, exclude_max=True),
    st.sampled_from([0xFFFFFFFF, 0xFFFFFFFE, 0x7FFFFFFF, 0x00FFFFFF, 0x0000FFFF, 1, 0]),
)
def test_lengths_that_cannot_be(folder: Path, default: Profile, syntax: str, part: float, length: int) -> None:
    data = bytearray(DAMAGEABLE[syntax])
    position = 132 + int(part * (len(data) - 136)) // 2 * 2
    data[position : position + 4] = length.to_bytes(4, "little")
    is_bounded_and_clean(bytes(data), folder, default)


@pytest.mark.parametrize("undefined", [False, True])
@pytest.mark.parametrize("vr", ["SQ", "UN"])
@pytest.mark.parametrize("depth", [30, 100, 1000])
@pytest.mark.parametrize("syntax", ["implicit", "explicit"])
def test_deep_nesting(folder: Path, default: Profile, syntax: str, depth: int, vr: str, undefined: bool) -> None:
    innermost = [Element(0x00181400, "LO", f"{NAME} seen".encode())]
    inner = encoded(innermost, explicit=syntax == "explicit" and vr == "SQ")
    for _ in range(depth):
        item = b"\xfe\xff\x00\xe0" + len(inner).to_bytes(4, "little") + inner
        if undefined:
            item = b"\xfe\xff\x00\xe0\xff\xff\xff\xff" + inner + b"\xfe\xff\x0d\xe0" + bytes(4)
        head = b"\x08\x00\x18\x22"
        length = b"\xff\xff\xff\xff" if undefined else len(item).to_bytes(4, "little")
        end = b"\xfe\xff\xdd\xe0" + bytes(4) if undefined else b""
        inner = head + (b"SQ\0\0" if syntax == "explicit" and vr == "SQ" else b"") + length + item + end
    value = inner[12:] if syntax == "explicit" and vr == "SQ" else inner[8:]
    value = value[:-8] if undefined else value
    data = hostile(syntax, Element(0x00082218, vr, value))
    is_bounded_and_clean(data, folder, default)
    expected_refusal = depth > 64
    assert isinstance(outcome(data, folder, default), str) == expected_refusal


def test_a_bomb_is_not_inflated(folder: Path, default: Profile) -> None:
    meta = hostile("deflated")
    with quiet():
        start = 132 + 12 + pydicom.dcmread(io.BytesIO(meta)).file_meta.FileMetaInformationGroupLength
    deflater = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    bomb = b"".join(deflater.compress(bytes(1 << 24)) for _ in range(80)) + deflater.flush()
    assert len(bomb) < 2 << 20
    assert isinstance(outcome(meta[:start] + bomb, folder, default), str)
