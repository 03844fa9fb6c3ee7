"""What the figures of an export say in sentences: collection, preparation, labels, biases, limits and uses.

The card and the Croissant metadata (RAI vocabulary 1.0) quote the same sentences. Each rests on a count of the
export's own tables or on the statement; nothing is said that neither says.
"""

from pipelines.curate.export.facts import FEW, UNKNOWN, UNSURE, Deidentification, Facts, percent
from pipelines.curate.export.statement import NOT_STATED, Statement

USES = (
    "Training and evaluation of algorithms that tell BI-RADS breast density (5th edition, A to D) from one mammogram.",
    "Training of generative models of mammograms; the test and validation splits are for evaluation alone.",
)
NOT_FOR = (
    "Diagnosis, screening or treatment of patients. Cancer and other findings are not labeled.",
    "Any attempt to tell who a patient is, or to join the set with data that could.",
)


def summary(facts: Facts) -> str:
    """The set in one sentence."""
    rows, columns = facts.shape
    size = f" of {rows}×{columns} pixels" if facts.images else ""
    return (
        f"{facts.images} mammograms{size} in {facts.studies} examinations of {facts.patients} patients, each with the "
        "BI-RADS density (A to D) of its breast, split by patient into training, validation and test."
    )


def collection(facts: Facts, statement: Statement) -> str:
    """Where the pictures come from."""
    makers = ", ".join(f"{name} {facts.share(n)}" for name, n in _most_first(facts.by("manufacturer")))
    own = "" if statement.collection == NOT_STATED else f"{statement.collection} "
    return f"{own}Taken from a hospital's archive, not for this set. Makers of the machines: {makers or 'none'}."


def missing(facts: Facts) -> str:
    """What is not there."""
    reasons = ", ".join(f"{reason} {n}" for reason, n in facts.excluded.items()) or "none"
    sides, ages = facts.by("laterality").get(UNKNOWN, 0), facts.by("age_band").get(UNKNOWN, 0)
    return (
        f"Left out of the normalized pictures, by reason: {reasons}. "
        f"In the set, {sides} images do not say which breast they show, and {ages} not how old the patient was."
    )


def preparation(facts: Facts, deidentification: Deidentification, curves: str) -> list[str]:
    """What was done to the pictures, step by step."""
    rows, columns = facts.shape
    return [
        deidentified(deidentification),
        "Decoded, and shown by the header's own modality LUT, window or VOI LUT; the breast was cut out and brought to "
        f"the left edge of a picture of {rows}×{columns} pixels, with gray 0 (air) to 4095; all else is 0.",
        f"The gray curve of each vendor group was applied (curves {curves[:12] or NOT_STATED}); the curves were "
        "fitted on training patients.",
        "Copies were taken out, and patients who share a picture are kept in one split.",
    ]


def deidentified(found: Deidentification) -> str:
    """How the set was de-identified."""
    options = ", ".join(f"{meaning} ({code})" for code, meaning in found.options) or "as the profile's digest says"
    return (
        f"De-identified by DICOM PS3.15 Table E.1-1, edition {', '.join(found.editions) or NOT_STATED}: {options}. "
        f"Profile {', '.join(p[:12] for p in found.profiles) or NOT_STATED}, key {found.key_fingerprint}."
    )


def annotation(facts: Facts) -> list[str]:
    """Where the labels come from."""
    lines = [
        "Density was read from labels tables (table), DICOM structured reports (sr), report texts (text), human review "
        "(review) and pixels (pixels), as far as each was there, and fused to one label a breast. votes.parquet has "
        "the statements, labels.parquet which of them a label rests on."
    ]
    total = sum(facts.channels.values())
    lines += [f"Labels that rest on {name}: {n} ({percent(n, total)})." for name, n in facts.channels.items()]
    return lines


def analysis(facts: Facts) -> list[str]:
    """How far the labels can be trusted."""
    total = sum(facts.channels.values())
    return [
        f"Statements disagree for {facts.conflicts} of {total} labels ({percent(facts.conflicts, total)}).",
        f"{facts.unsure} of {total} labels ({percent(facts.unsure, total)}) have a confidence below {UNSURE}.",
    ]


def per_item(facts: Facts) -> str:
    """Statements a label."""
    total = sum(facts.channels.values())
    return f"{facts.statements / total if total else 0:.2f} statements a label on average"


def biases(facts: Facts) -> list[str]:
    """How the set leans."""
    lines = [f"Density: {_shares(facts, 'density')}.", f"Views: {_shares(facts, 'view')}."]
    lines.append(f"Age in years: {_shares(facts, 'age_band')}.")
    dense = facts.dense_by_maker
    each = ", ".join(f"{percent(d, n)} of {n} images by {maker}" for maker, (d, n) in dense.items())
    whole = facts.share(sum(d for d, _ in dense.values()))
    lines.append(f"Dense breasts (C or D) are {whole} of all images: {each or 'none'}.")
    return lines


def limits(facts: Facts) -> list[str]:
    """What the set cannot do."""
    total = sum(facts.channels.values())
    lines = [
        "A hospital's patients are no sample of a population; shares of density are not prevalences.",
        "Gray values were matched between vendors, and breasts may have been scaled: neither attenuation nor size can "
        "be measured in the pictures.",
    ]
    if facts.few:
        lines.append(f"Fewer than {FEW} training images of density and view: {', '.join(facts.few)}.")
    pixels = facts.channels.get("pixels", 0)
    if pixels:
        lines.append(
            f"{pixels} labels ({percent(pixels, total)}) were measured in the pixels alone: no reader gave them."
        )
    empty = [split for split in ("train", "validation", "test") if not facts.by("density", split)]
    if empty:
        lines.append(f"Splits without an image: {', '.join(empty)}.")
    return lines


def sensitive(deidentification: Deidentification) -> list[str]:
    """What in it is personal."""
    return [
        "Health data of patients: mammograms, breast density and age. Patients, examinations and images have keyed "
        "pseudonyms; what the hospital knows them by is not in the set.",
        deidentified(deidentification),
    ]


def _shares(facts: Facts, column: str) -> str:
    return ", ".join(f"{name} {facts.share(n)}" for name, n in facts.by(column).items()) or "none"


def _most_first(counts: dict[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))
