"""Tables of levels D and C: what was found, what was written de-identified, reports and delivered labels."""

from pipelines.storage.contracts import Table
from pipelines.storage.tables.columns import count, text
from pipelines.storage.tables.vocabulary import DENSITY_SETS, LATERALITIES, ORIGINS

INVENTORY = Table(
    "level_d.inventory",
    "One row per file found in a delivery, members of archives among them. Restricted: holds identifiers.",
    (
        text("file_id", "keyed id of the file within its delivery (F-…)"),
        text("location", "where to open it: inbox:<percent-encoded path below the delivery> or unpacked:<file_id>"),
        text("container", "file_id of the archive that it came from", nullable=True),
        text("member", "its path within that archive, percent-encoded", nullable=True),
        count("size", "size", "bytes"),
        text("sha256", "SHA-256 of its bytes; empty where it could not be read"),
        text(
            "kind",
            "what it is, by content",
            allowed=("dicom", "dicomdir", "archive", "reports", "labels", "other"),
        ),
        text("status", "what became of it", allowed=("accepted", "duplicate", "quarantined")),
        text("reason", "why it was quarantined: a short code such as truncated, not_dicom", nullable=True),
        text("duplicate_of", "file_id of the first file with the same content or SOP Instance UID", nullable=True),
        text("transfer_syntax_uid", "(0002,0010), or what was recognized", nullable=True),
        text("sop_class_uid", "(0008,0016)", nullable=True),
        text("sop_instance_uid", "(0008,0018)", nullable=True),
        text("study_instance_uid", "(0020,000D)", nullable=True),
        text("series_instance_uid", "(0020,000E)", nullable=True),
        text("accession_number", "(0008,0050)", nullable=True),
        text("patient_id", "(0010,0020)", nullable=True),
        text("modality", "(0008,0060)", nullable=True),
    ),
    ("file_id",),
)

OBJECTS = Table(
    "level_c.objects",
    "One row per accepted DICOM object of a delivery: written de-identified, or refused with a reason.",
    (
        text("file_id", "keyed id of the source file"),
        text("status", "what became of it", allowed=("written", "refused")),
        text("reason", "why it was refused: a short code", nullable=True),
        text("path", "file below the publication's folder", nullable=True),
        text("sha256", "SHA-256 of the written file", nullable=True),
        count("size", "size of the written file", "bytes", nullable=True),
        text("patient", "patient pseudonym (P-…)", nullable=True),
        text("accession", "pseudonym of the accession number (A-…), joins reports and labels", nullable=True),
        text("study_instance_uid", "new (0020,000D)", nullable=True),
        text("series_instance_uid", "new (0020,000E)", nullable=True),
        text("sop_instance_uid", "new (0008,0018)", nullable=True),
        text("sop_class_uid", "(0008,0016)", nullable=True),
        text("origin", "what the source was before", nullable=True, allowed=ORIGINS),
        text("modality", "(0008,0060)", nullable=True),
        text("manufacturer", "(0008,0070)", nullable=True),
        text("model", "(0008,1090)", nullable=True),
        count("text_boxes", "burned-in text boxes blanked", nullable=True),
        text("text_box_list", "JSON list of the boxes [frame, top, left, bottom, right] in pixels", nullable=True),
        count("review_boxes", "places in the pixels that a person should look at: they may be text", nullable=True),
        text("actions", "JSON object: action code (X, Z, D, U, C, …) to the count of elements", nullable=True),
        text("actions_by_tag", "JSON object: tag (ggggeeee) to action code and count", nullable=True),
        text("profile_sha256", "digest of the profile's settings that it was de-identified under", nullable=True),
        text("edition", "edition of PS3.15 that the profile follows", nullable=True),
        text("key_fingerprint", "fingerprint of the pseudonym key", nullable=True),
    ),
    ("file_id",),
)

REPORTS = Table(
    "level_c.reports",
    "De-identified report texts of a delivery.",
    (
        text("report_id", "keyed id of the row (R-…)"),
        text("file_id", "keyed id of the source file"),
        text("status", "what became of it", allowed=("written", "refused")),
        text("reason", "why it was refused: a short code", nullable=True),
        text("accession", "pseudonym of the accession number (A-…)", nullable=True),
        text("patient", "patient pseudonym (P-…), where a DICOM object of the delivery gives it", nullable=True),
        text("text", "cleaned report text", nullable=True),
        count("replacements", "pieces of text replaced", nullable=True),
    ),
    ("report_id",),
)

DELIVERED_LABELS = Table(
    "level_c.labels",
    "Rows of a delivery's labels tables, with pseudonyms in place of identifiers.",
    (
        text("label_id", "keyed id of the row (L-…)"),
        text("file_id", "keyed id of the source file"),
        text("status", "what became of it", allowed=("written", "refused")),
        text("reason", "why it was refused: a short code", nullable=True),
        text("accession", "pseudonym (A-…)", nullable=True),
        text("study_instance_uid", "new study UID", nullable=True),
        text("sop_instance_uid", "new SOP Instance UID", nullable=True),
        text("patient", "patient pseudonym (P-…)", nullable=True),
        text("laterality", "breast", nullable=True, allowed=LATERALITIES),
        text("view", "view, as given", nullable=True),
        text("density", "density as given: a value of a density scale or of the column map", nullable=True),
        text("column_map", "the column map that the table was read by; null where it has our columns", nullable=True),
        text("densities", "what the map takes the density for; null where for none", True, DENSITY_SETS),
        text("reader", "pseudonym of the reader", nullable=True),
    ),
    ("label_id",),
)
