import csv
import hashlib
import io
import zipfile
from collections import Counter
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.encaps import generate_frames

from pipelines.phantom.archive import PhantomSummary, write_archive
from pipelines.phantom.grayscale import curve
from pipelines.phantom.vendors import JPEG_LOSSLESS, VENDORS

SHARED = Path(__file__).parents[2].parent / "shared" / "data" / "mammograms"
PATIENTS, SCALE = 14, 0.11


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


class Archive:
    def __init__(self, root: Path) -> None:
        self.inbox, self.truth = root / "inbox", root / "truth"
        self.told: list[tuple[int, int]] = []
        self.summary: PhantomSummary = write_archive(
            self.inbox,
            patients=PATIENTS,
            seed=4,
            scale=SCALE,
            truth=self.truth,
            progress=lambda done, total: self.told.append((done, total)),
        )
        self.rows = rows_of(self.truth / "truth.csv")
        self.people = rows_of(self.truth / "patients.csv")
        self.canaries = rows_of(self.truth / "canaries.csv")

    def data(self, row: dict[str, str]) -> bytes:
        data = (self.inbox / row["path"]).read_bytes()
        if not row["member"]:
            return data
        with zipfile.ZipFile(io.BytesIO(data)) as members:
            return members.read(row["member"])

    def images(self, role: str = "original") -> list[tuple[dict[str, str], Dataset]]:
        rows = [row for row in self.rows if row["kind"] == "image" and row["role"] == role]
        return [(row, dcmread(io.BytesIO(self.data(row)))) for row in rows]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    return Archive(tmp_path_factory.mktemp("phantom"))


def digest(folder: Path) -> dict[str, str]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_truth_accounts_for_every_file(archive: Archive) -> None:
    on_disk = {path.relative_to(archive.inbox).as_posix() for path in archive.inbox.rglob("*") if path.is_file()}
    assert {row["path"] for row in archive.rows} == on_disk
    assert archive.summary.files == len(on_disk)
    assert archive.summary.patients == len(archive.people) == PATIENTS
    assert {path.name for path in archive.inbox.iterdir()} == set(archive.summary.deliveries)
    assert archive.told[-1] == (PATIENTS, PATIENTS)


def test_everyone_has_four_views_and_headers_agree_with_the_truth(archive: Archive) -> None:
    images = archive.images()
    views = {}
    for row, ds in images:
        assert (ds.PatientID, ds.AccessionNumber) == (row["patient_id"], row["accession_number"])
        assert (ds.ImageLaterality, ds.ViewPosition) == (row["laterality"], row["view"])
        assert ds.SOPInstanceUID == row["sop_instance_uid"]
        assert ds.PresentationIntentType == row["presentation_intent"]
        views.setdefault(ds.PatientID, []).append(ds.ImageLaterality + ds.ViewPosition)
    assert all(sorted(v) == ["LCC", "LMLO", "RCC", "RMLO"] for v in views.values())
    assert len(views) == PATIENTS
    assert len({ds.SOPInstanceUID for _, ds in images}) == archive.summary.images == 4 * PATIENTS


def test_prevalence_vendors_and_intents(archive: Archive) -> None:
    assert archive.summary.densities == {"A": 1, "B": 6, "C": 6, "D": 1}
    assert {row["vendor"] for row in archive.people} == {vendor.name for vendor in VENDORS}
    intents = Counter(ds.PresentationIntentType for _, ds in archive.images())
    assert intents["FOR PRESENTATION"] > 3 * intents["FOR PROCESSING"] > 0
    assert len({row["transfer_syntax_uid"] for row, _ in archive.images()}) >= 4
    assert {ds.PhotometricInterpretation for _, ds in archive.images()} == {"MONOCHROME1", "MONOCHROME2"}


def test_density_is_in_the_pixels_of_the_truth(archive: Archive) -> None:
    fractions: dict[str, list[float]] = {}
    for row, _ in archive.images():
        fractions.setdefault(row["density"], []).append(float(row["dense_fraction"]))
    means = [np.mean(fractions[density]) for density in "ABCD"]
    assert (np.diff(means) > 0.05).all()


def test_physical_size_does_not_shrink_with_the_matrix(archive: Archive) -> None:
    for _, ds in archive.images():
        height, width = ds.Rows * float(ds.ImagerPixelSpacing[0]), ds.Columns * float(ds.ImagerPixelSpacing[1])
        assert 170 < width < 260
        assert 200 < height < 310


def test_burned_in_text_stands_in_its_box_and_half_of_it_is_denied(archive: Archive) -> None:
    burned = [(row, ds) for row, ds in archive.images() if row["box"]]
    assert len(burned) == archive.summary.burned_in
    assert 0.05 < len(burned) / archive.summary.images < 0.15
    gray = {vendor.name: vendor.gray for vendor in VENDORS}
    for row, ds in burned:
        top, left, bottom, right = map(int, row["box"].split())
        jpeg = ds.file_meta.TransferSyntaxUID == JPEG_LOSSLESS
        frame = next(generate_frames(ds.PixelData, number_of_frames=1)) if jpeg else b""
        pixels = (imagecodecs.jpeg_decode(frame) if jpeg else ds.pixel_array).astype(float)
        dark, bright = (float(curve(gray[row["vendor"]], b)) for b in (0.0, 1.0))
        brightness = (pixels[top:bottom, left:right] - dark) / (bright - dark)
        assert 0.05 < (brightness > 0.5).mean() < 0.6
        assert row["patient_id"] in row["burned_in_text"]
    assert all(row["burned_in_annotation"] == "NO" for row, _ in archive.images() if not row["box"])


def test_dirt_is_what_it_claims_to_be(archive: Archive) -> None:
    original = {row["sop_instance_uid"]: archive.data(row) for row in archive.rows if row["role"] == "original"}
    place = {row["sop_instance_uid"]: row["path"].split("/")[0] for row in archive.rows if row["role"] == "original"}
    roles = Counter(row["role"] for row in archive.rows)
    assert roles["duplicate"] >= 1
    assert roles["other_delivery"] >= 1
    assert roles["truncated"] >= 1
    for row in archive.rows:
        uid = row["sop_instance_uid"]
        if row["role"] in ("duplicate", "other_delivery"):
            assert archive.data(row) == original[uid]
            assert (row["path"].split("/")[0] == place[uid]) == (row["role"] == "duplicate")
        if row["role"] == "truncated":
            assert original[uid].startswith(archive.data(row))
            assert len(archive.data(row)) < len(original[uid])
        if row["kind"] == "empty":
            assert archive.data(row) == b""
    kinds = Counter(row["kind"] for row in archive.rows)
    assert kinds["text"] == 2
    assert kinds["empty"] == kinds["dicomdir"] == 1
    assert kinds["zip"] >= 1
    directory = next(row for row in archive.rows if row["kind"] == "dicomdir")
    assert len(dcmread(io.BytesIO(archive.data(directory))).DirectoryRecordSequence) % 2 == 0


def test_tables_repeat_what_the_truth_says_the_sources_say(archive: Archive) -> None:
    labels, reports = [], []
    for delivery in archive.inbox.iterdir():
        for name, rows in (("labels", labels), ("reports", reports)):
            path = delivery / f"{name}.csv"
            if path.exists():
                rows += rows_of(path)
    assert len(labels) == archive.summary.labels
    assert len(reports) == archive.summary.reports
    told = Counter(row["accession_number"] for row in labels)
    for person in archive.people:
        assert told[person["accession_number"]] == len(person["labels"].split())
    with_report = {row["accession_number"] for row in reports}
    assert all(p["accession_number"] in with_report for p in archive.people if p["report"])
    assert archive.summary.structured_reports == sum(bool(p["sr"]) for p in archive.people)


def test_canaries_are_really_in_the_archive(archive: Archive) -> None:
    haystack = b"\n".join(str(p.relative_to(archive.inbox)).encode() for p in archive.inbox.rglob("*"))
    haystack += b"\n".join(archive.data(row) for row in archive.rows if row["transfer_syntax_uid"][-3:] != ".99")
    missing = Counter()
    for canary in archive.canaries:
        value = canary["value"]
        forms = {value.encode(), value.encode("latin-1", "ignore")}
        if not any(form in haystack for form in forms):
            missing[canary["kind"]] += 1
    total = Counter(canary["kind"] for canary in archive.canaries)
    for kind in ("patient_id", "other_patient_id", "accession_number", "study_uid", "phone", "email", "address"):
        assert total[kind] >= PATIENTS
        assert missing[kind] <= 0.1 * total[kind], kind
    for kind in ("family_name", "given_name", "birth_date"):
        assert missing[kind] <= 0.5 * total[kind], kind


def test_same_seed_same_bytes_another_seed_other_bytes(archive: Archive, tmp_path: Path) -> None:
    write_archive(tmp_path / "a", patients=3, seed=9, scale=0.08, truth=tmp_path / "ta")
    write_archive(tmp_path / "b", patients=3, seed=9, scale=0.08, truth=tmp_path / "tb")
    write_archive(tmp_path / "c", patients=3, seed=10, scale=0.08)
    first = digest(tmp_path / "a")
    assert first == digest(tmp_path / "b")
    assert digest(tmp_path / "ta") == digest(tmp_path / "tb")
    assert not set(first.values()) & (set(digest(tmp_path / "c").values()) - {hashlib.sha256(b"").hexdigest()})


def test_one_patient_one_delivery(tmp_path: Path) -> None:
    summary = write_archive(tmp_path / "inbox", patients=1, seed=1, scale=0.08, deliveries=3)
    assert len(summary.deliveries) == 1
    assert summary.images == 4


def test_senseless_arguments_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError):
        write_archive(tmp_path / "a", patients=0, seed=1)
    with pytest.raises(ValueError):
        write_archive(tmp_path / "a", patients=2, seed=1, scale=0)
    with pytest.raises(ValueError):
        write_archive(tmp_path / "a", patients=2, seed=1, pixels=tmp_path)
    with pytest.raises(ValueError):
        write_archive(tmp_path / "a", patients=2, seed=1, truth=tmp_path / "a" / "truth")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "something").write_text("here")
    with pytest.raises(FileExistsError):
        write_archive(tmp_path / "full", patients=2, seed=1)


@pytest.mark.skipif(not SHARED.is_dir(), reason="no real mammograms here")
@pytest.mark.parametrize("collection", ["cdd-cesm-512", "mini-mias-512"])
def test_real_mammograms_take_the_place_of_drawn_ones(collection: str, tmp_path: Path) -> None:
    summary = write_archive(
        tmp_path / "inbox",
        patients=12,
        seed=2,
        pixels=SHARED / collection,
        labels=SHARED / "labels.csv",
        truth=tmp_path / "truth",
    )
    assert summary.patients == 12
    people = rows_of(tmp_path / "truth" / "patients.csv")
    density = {}
    for row in rows_of(SHARED / "labels.csv"):
        if row["density_raw"]:
            density.setdefault((row["patient"], row["laterality"]), set()).add(row["density_raw"])
    for person in people:
        for side, told in (("R", person["density_r"]), ("L", person["density_l"])):
            if collection == "mini-mias-512":
                assert told == ""
                assert set(person["labels"].replace("R:", "").replace("L:", "").split()) <= {"F", "G", "D"}
                assert not person["report"]
                assert not person["sr"]
            elif told:
                assert told in density[(person["real_patient"], side)]
    rows = [r for r in rows_of(tmp_path / "truth" / "truth.csv") if r["kind"] == "image"]
    vendors = {row["vendor"] for row in rows}
    assert vendors == {"film"} if "mias" in collection else len(vendors - {"film"}) >= 4
    ds = dcmread(tmp_path / "inbox" / next(r["path"] for r in rows if not r["member"] and r["role"] == "original"))
    assert ds.Modality == "MG"
    assert (ds.Rows, ds.Columns) == (512, 512)
