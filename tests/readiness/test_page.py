"""The page for auditors: complete, self-contained, escaped, the same bytes for the same data, and of bounded size."""

import base64
import io
import re

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from pipelines.readiness.certificate import write_certificate
from pipelines.readiness.cost import Cost
from pipelines.readiness.criteria import RUNGS, evaluate, load_criteria, load_levels
from pipelines.readiness.page import MOST_TABLE_ROWS, Exhibits, duration, figure, write_page
from pipelines.readiness.page_pictures import MOST_BYTES, MOST_WIDTH, inline_picture
from pipelines.storage.tables import DATASET, LABELS, PLAN
from tests.readiness.reading import Page
from tests.readiness.test_certificate import certify
from tests.readiness.test_figures import BREAKS

COSTS = (
    Cost("level_d/inventory", 2, 4.25, 3, 6.0, 0),
    Cost("level_c/objects", 2, 185.0, 2, 185.0, 0),
    Cost("level_b/images", 2, None, 2, None, 2),
)


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "picture.png"
    Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16)).save(path)
    return path


def exhibits_of(world, picture=None, **given):
    shown = {
        "dataset": DATASET.build(world.dataset),
        "labels": LABELS.build(world.labels),
        "plan": PLAN.build(world.plan),
        "pictures": dict.fromkeys(("pairs", "curves", "harmonization", "sheet", "synthetic", "gallery"), picture)
        if picture
        else {},
        "costs": COSTS,
        "digests": {"level_a/dataset": "ab" * 32},
    }
    return Exhibits(**(shown | given))


def written(world, folder, picture=None, **given):
    folder.mkdir(exist_ok=True)
    content = certify(world, folder)
    return content, write_page(folder, content, exhibits_of(world, picture, **given)).read_text()


def test_every_criterion_is_told_with_figure_demand_verdict_and_source(world, tmp_path, picture):
    content, text = written(world, tmp_path, picture)
    page = Page(text)
    results = {c["id"]: c for c in content["criteria"]}
    for criterion in load_criteria():
        row = next(r for r in page.rows if r[0].startswith(criterion.statement) and criterion.id in r[0])
        assert criterion.how in row[0]
        assert f"Source: {criterion.source}." in row[0]
        assert row[1] == figure(results[criterion.id]["value"])
        assert figure(criterion.threshold) in row[2] or criterion.operator == "measured"
        assert row[3].startswith({True: "✓ holds", None: "? not measured"}[results[criterion.id]["holds"]])
    for level in load_levels().values():
        assert level.meaning in page.words
    assert "The data stand on level A" in page.words
    assert "0123456789ab" in page.words


@pytest.mark.parametrize("broken", ["no_identifier_left", "breast_found", "no_patient_in_two_splits"])
def test_what_fails_is_said_to_fail_and_named_as_what_hinders(broken, world, tmp_path):
    BREAKS[broken](world)
    content, text = written(world, tmp_path)
    page = Page(text)
    criterion = next(c for c in load_criteria() if c.id == broken)
    row = next(r for r in page.rows if r[0].startswith(criterion.statement))
    assert (row[1], row[3]) == (str(next(c["value"] for c in content["criteria"] if c["id"] == broken)), "✗ fails")
    below = RUNGS[RUNGS.index(criterion.level) - 1]
    assert f"The data stand on level {below}" in page.words
    assert f"{criterion.statement} (measured: {row[1]})" in page.words


def test_what_was_not_measured_is_said_so(tmp_path):
    content = write_certificate(
        tmp_path, evaluate({}), figures={}, deliveries={}, funnel=(), key_fingerprint="k", versions={}
    )
    page = Page(write_page(tmp_path, content, Exhibits()).read_text())
    verdicts = {r[0].split(" Source:")[0]: r[3] for r in page.rows if len(r) == 4 and "Source:" in r[0]}
    assert len(verdicts) == len(load_criteria())
    optional = [c for c in load_criteria() if not c.required]
    assert sum(v == "? not measured not required" for v in verdicts.values()) == len(optional) > 0
    assert sum(v == "? not measured" for v in verdicts.values()) == len(verdicts) - len(optional)
    assert "The data stand below level D" in page.words
    assert page.words.count("Not measured:") == 18


def test_every_loss_is_in_the_table_and_in_the_picture(world, tmp_path):
    world.objects["D-1"][0].update(status="refused", reason="residual_identifier")
    del world.images["D-1"][0], world.dataset[0]
    world.images["D-1"][0].update(status="excluded", reason="spot")
    del world.dataset[0]
    content, text = written(world, tmp_path)
    page = Page(text)
    drawn = text[text.index('<svg class="flow"') : text.index("</svg>")]
    losses = [(reason, n) for step in content["funnel"] for reason, n in step["lost"].items()]
    assert ("refused: residual_identifier", 1) in losses
    assert ("quarantined: truncated", 2) in losses
    for reason, count in losses:
        assert [reason.replace("_", " "), "", str(count)] in page.rows
        assert f">{count} {reason.replace('_', ' ')}<" in drawn
    for step in content["funnel"]:
        assert [step["step"], str(step["count"]), ""] in page.rows
        assert f">{step['count']} {step['step']}<" in drawn


def test_the_page_refers_to_nothing_outside(world, tmp_path, picture):
    _, text = written(world, tmp_path, picture)
    page = Page(text)
    assert page.open == []
    assert len(page.of("img")) == 6
    assert all(value.startswith("data:image/png;base64,") for value in page.references())
    assert not re.search(r"https?:|//|url\(|@import", page.style)
    assert not re.search(r"https?://|file:", text)
    assert not {"script", "link", "iframe", "object", "embed", "base", "form"} & {tag for tag, _ in page.tags}
    policy = next(a["content"] for a in page.of("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'")


def test_the_page_can_be_read_without_seeing_it(world, tmp_path, picture):
    _, text = written(world, tmp_path, picture)
    page = Page(text)
    assert page.of("html")[0]["lang"] == "en"
    assert all(len(image["alt"]) > 20 for image in page.of("img"))
    assert len(page.of("caption")) == len(page.of("table")) >= 10
    assert all("scope" in header for header in page.of("th"))
    ids = [a["id"] for _, a in page.tags if "id" in a]
    assert len(ids) == len(set(ids))
    named = [a["aria-labelledby"] for _, a in page.tags if "aria-labelledby" in a]
    assert set(named) <= set(ids)
    assert all(svg["role"] == "img" and svg["aria-labelledby"] for svg in page.of("svg"))
    assert len(page.of("h1")) == 1


def luminance(color):
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


def test_words_stand_out_from_their_ground(world, tmp_path):
    """WCAG 2.2, success criterion 1.4.3: contrast of 4.5 to 1 at least."""
    style = Page(written(world, tmp_path)[1]).style
    inks = dict(re.findall(r"--(\w+): (#\w{6})", style))
    pairs = [
        (inks["ink"], "#ffffff"),
        (inks["quiet"], "#ffffff"),
        (inks["quiet"], inks["soft"]),
        ("#ffffff", inks["blue"]),
    ]
    pairs += re.findall(r"color: (#\w{6}); background: (#\w{6})", style)
    pairs += [tuple(reversed(p)) for p in re.findall(r"background: (#\w{6}); color: (#\w{6})", style)]
    pairs += [
        (ink, re.search(rf"\.density-{d} {{ fill: (#\w{{6}})", style)[1])
        for d, ink in zip("ABCD", [inks["ink"]] * 2 + ["#ffffff"] * 2, strict=True)
    ]
    assert len(pairs) >= 11
    for pair in pairs:
        dark, light = sorted(luminance(color) for color in pair)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, pair


def test_counts_of_the_set_are_told(world, tmp_path):
    page = Page(written(world, tmp_path)[1])
    lines = {(r[0], r[1]): r[2:] for r in page.rows if len(r) == 15}
    train = lines["Hologic · x · FOR PRESENTATION · lossless", "CC"]
    counted = sum(r["density"] == "B" and r["view"] == "CC" and r["split"] == "train" for r in world.dataset)
    assert train[1] == str(counted) == "1"
    assert sum(int(line[-1]) for line in lines.values()) == len(world.dataset)
    assert all(sum(map(int, line[:-1])) == int(line[-1]) for line in lines.values())
    assert ["report text", "8"] in page.rows
    assert ["B", "CC", "1", "2", "1"] in page.rows


def test_agreement_is_shown_where_it_was_published(world, tmp_path):
    table = pa.table({"reader_pair": ["R-1, R-2"], "quadratic_kappa": [0.71234], "images": [40]})
    page = Page(written(world, tmp_path, tables={"agreement": table})[1])
    assert ["reader pair", "quadratic kappa", "images"] in page.rows
    assert ["R-1, R-2", "0.712", "40"] in page.rows
    assert "hold no table of agreement" not in page.words


def test_transfer_between_vendors_is_shown_with_its_verdict(world, tmp_path, picture):
    table = pa.table({"way": ["harmonization"], "vendor group": ["*"], "before": ["0.81 (0.70 to 0.90)"]})
    verdict = "harmonization: use it: the vendor can no longer be told."
    shown = {"tables": {"transfer": table}, "transfer": [verdict], "pictures": {"transfer": picture}}
    page = Page(written(world, tmp_path / "with", **shown)[1])
    assert verdict in page.words
    assert ["harmonization", "all", "0.81 (0.70 to 0.90)"] in page.rows
    assert any("after each way of transfer" in image["alt"] for image in page.of("img"))
    without = Page(written(world, tmp_path / "without")[1])
    assert "too few images of two vendors" in without.words


def test_of_a_long_table_the_first_rows_are_shown(world, tmp_path):
    table = pa.table({"split": [f"row {n}" for n in range(MOST_TABLE_ROWS + 5)]})
    page = Page(written(world, tmp_path, tables={"power": table})[1])
    assert [f"row {MOST_TABLE_ROWS - 1}"] in page.rows
    assert [f"row {MOST_TABLE_ROWS}"] not in page.rows
    assert "5 more rows stand in the publication" in page.words


def test_what_comes_from_headers_is_escaped(world, tmp_path):
    hostile = 'Evil"><script>alert(1)</script>|x|y|z'
    for row in world.dataset:
        row["vendor_group"] = hostile
    page = Page(written(world, tmp_path)[1])
    assert not page.of("script")
    assert hostile.replace("|", " · ") in page.words


def test_only_the_section_of_times_differs_between_two_climbs(world, tmp_path, picture):
    pages = [
        written(world, tmp_path / name, picture, costs=costs)[1]
        for name, costs in (("one", COSTS), ("two", COSTS), ("three", COSTS[:1]))
    ]
    assert pages[0] == pages[1] != pages[2]
    cut = [re.sub(r'<section id="cost".*?</section>', "", page, flags=re.DOTALL) for page in pages]
    assert cut[0] == cut[2]


def test_times_are_summed_by_rung(world, tmp_path):
    page = Page(written(world, tmp_path)[1])
    assert ["Level D", "2", "4.2 s", "3", "6.0 s"] in page.rows
    assert ["level_c/objects", "2", "3 min 05 s", "2", "3 min 05 s"] in page.rows
    assert ["Level B", "2", "not recorded", "2", "not recorded"] in page.rows
    assert ["Together", "6", "3 min 09 s", "7", "3 min 11 s (2 not recorded)"] in page.rows


def test_nothing_of_the_source_is_in_it(world, tmp_path, picture):
    _, text = written(world, tmp_path, picture)
    assert not any(word in text for word in ("PAT5678", "ACC1234", "1.2.0.0", str(tmp_path), "P-0"))


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_large_pictures_are_made_small(mode, tmp_path):
    noise = np.random.default_rng(1).integers(0, 256, (900, 1800, 3), np.uint8)
    path = tmp_path / "noise.png"
    Image.fromarray(noise).convert(mode).save(path)
    inlined = inline_picture(path)
    data = base64.b64decode(inlined.uri.removeprefix("data:image/png;base64,"))
    picture = Image.open(io.BytesIO(data))
    assert len(data) <= MOST_BYTES
    assert picture.mode == mode
    assert picture.size == (inlined.width, inlined.height)
    assert inlined.width <= MOST_WIDTH
    assert inlined.width / inlined.height == pytest.approx(2, rel=0.01)


def test_small_pictures_stay_as_they_are(picture):
    data = base64.b64decode(inline_picture(picture).uri.removeprefix("data:image/png;base64,"))
    assert (np.asarray(Image.open(io.BytesIO(data))) == np.asarray(Image.open(picture))).all()


def test_a_missing_or_broken_picture_is_an_error(tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no picture")
    for name in ("broken.png", "missing.png"):
        with pytest.raises(OSError):
            inline_picture(tmp_path / name)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "not recorded"),
        (0.0, "0.0 s"),
        (0.44, "0.4 s"),
        (59.9, "59.9 s"),
        (59.96, "1 min 00 s"),
        (60, "1 min 00 s"),
        (3599.6, "1 h 00 min"),
        (7640, "2 h 07 min"),
        (90_000, "25 h 00 min"),
    ],
)
def test_durations_read_well(seconds, words):
    assert duration(seconds) == words


def test_figures_read_well():
    assert [figure(v) for v in (None, 0, 12345, 3.0, 0.06818, -0.5, "x")] == [
        "not measured", "0", "12,345", "3", "0.0682", "-0.5", "x",
    ]  # fmt: skip
