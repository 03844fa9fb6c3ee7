"""Five vendors' facts as data, and a film digitizer: detectors, gray scales, windows, compression, private blocks.

Manufacturer and model strings, detector formats and private creators follow the vendors' DICOM conformance statements
and public sample files. What a private element holds is named by a field of the exam (see ``objects.private_value``).
"""

from dataclasses import dataclass

EXPLICIT = "1.2.840.10008.1.2.1"
IMPLICIT = "1.2.840.10008.1.2"
DEFLATED = "1.2.840.10008.1.2.1.99"
JPEG_LOSSLESS = "1.2.840.10008.1.2.4.70"
JPEG_LS = "1.2.840.10008.1.2.4.80"
JPEG_2000 = "1.2.840.10008.1.2.4.90"
RLE = "1.2.840.10008.1.2.5"


@dataclass(frozen=True)
class Format:
    """A detector format at full size: rows, columns, pixel spacing in millimeters."""

    rows: int
    columns: int
    spacing: float

    @property
    def size(self) -> tuple[float, float]:
        """Height and width in millimeters."""
        return self.rows * self.spacing, self.columns * self.spacing


@dataclass(frozen=True)
class Gray:
    """How brightness 0…1 becomes a stored value of a FOR PRESENTATION picture, and which windows go with it.

    Stored value = ``black`` + (``white`` - ``black``) · ((1 - ``shoulder``) · p^``gamma`` + ``shoulder`` · s(p)), where
    s is the smooth step 3p² - 2p³; then turned around for MONOCHROME1. ``windows``: (name, brightness shown black,
    brightness shown white).
    """

    bits: int
    photometric: str
    black: float
    white: float
    gamma: float
    shoulder: float
    voi: tuple[str, ...]
    windows: tuple[tuple[str, float, float], ...]
    air_noise: float = 0.0
    padding: bool = False


@dataclass(frozen=True)
class Raw:
    """A FOR PROCESSING picture: stored value = ``gain`` · exp(-``mu`` · attenuation) + ``offset``, linear."""

    bits: int
    gain: float
    mu: float
    offset: float
    mirrored: bool = False


@dataclass(frozen=True)
class Private:
    """One private element: group, creator, element (low byte), VR, and the exam's field or a constant after ``=``."""

    group: int
    creator: str
    element: int
    vr: str
    value: str


@dataclass(frozen=True)
class Vendor:
    """What one vendor's mammograms have in common. ``share``: how often it occurs among the patients."""

    name: str
    share: float
    manufacturer: str
    models: tuple[str, ...]
    software: str
    uid_root: str
    formats: tuple[Format, ...]
    gray: Gray
    raw: Raw
    syntaxes: tuple[str, ...]
    detector_type: str
    detector_description: str
    targets: tuple[tuple[str, str], ...]
    private: tuple[Private, ...]


HOLOGIC = Vendor(
    name="hologic",
    share=0.30,
    manufacturer="HOLOGIC, Inc.",
    models=("Selenia Dimensions", "Lorad Selenia", "3Dimensions"),
    software="AWS:1.8.3.63",
    uid_root="1.2.840.113681.",
    formats=(Format(3328, 2560, 0.07), Format(4096, 3328, 0.07)),
    gray=Gray(
        bits=12,
        photometric="MONOCHROME2",
        black=0,
        white=4095,
        gamma=1.05,
        shoulder=0.25,
        voi=("LINEAR",),
        windows=(("", 0.06, 0.95),),
        padding=True,
    ),
    raw=Raw(bits=14, gain=15000, mu=3.3, offset=60),
    syntaxes=(EXPLICIT, JPEG_LOSSLESS, JPEG_2000),
    detector_type="DIRECT",
    detector_description="DetectorType a-Se",
    targets=(("TUNGSTEN", "RHODIUM"), ("TUNGSTEN", "SILVER")),
    private=(
        Private(0x0019, "HOLOGIC, Inc.", 0x06, "LO", "=24CM PADDLE"),
        Private(0x0019, "HOLOGIC, Inc.", 0x07, "SH", "=CENTER"),
        Private(0x0019, "HOLOGIC, Inc.", 0x16, "DS", "=1.0"),
        Private(0x0019, "HOLOGIC, Inc.", 0x26, "LO", "operator"),
        Private(0x0019, "HOLOGIC, Inc.", 0x37, "LO", "name_and_id"),
        Private(0x0011, "HOLOGIC", 0x00, "LO", "questionnaire"),
        Private(0x0023, "HOLOGIC", 0x01, "LO", "file_name"),
        Private(0x7E01, "HOLOGIC, Inc.", 0x01, "LO", "=1.8.3"),
        Private(0x7E01, "HOLOGIC, Inc.", 0x02, "SH", "=MG-CODEC"),
    ),
)

GE = Vendor(
    name="ge",
    share=0.25,
    manufacturer="GE MEDICAL SYSTEMS",
    models=("Senographe Essential VERSION ADS_54.10", "Senographe Pristina", "Senograph DS ADS_43.10.1"),
    software="Ads Application Package VERSION ADS_54.10",
    uid_root="1.2.840.113619.2.",
    formats=(Format(2294, 1914, 0.09409090909), Format(3062, 2394, 0.09409090909)),
    gray=Gray(
        bits=12,
        photometric="MONOCHROME2",
        black=40,
        white=3900,
        gamma=0.62,
        shoulder=0.0,
        voi=("SIGMOID", "LUT"),
        windows=(("NORMAL", 0.10, 0.80), ("HARDER", 0.16, 0.74), ("SOFTER", 0.05, 0.86)),
        padding=True,
    ),
    raw=Raw(bits=14, gain=14000, mu=3.0, offset=20, mirrored=True),
    syntaxes=(JPEG_LOSSLESS, EXPLICIT, JPEG_LOSSLESS, DEFLATED),
    detector_type="SCINTILLATOR",
    detector_description="PSCAN 1.00 CsI on a-Si 0.1 mm",
    targets=(("RHODIUM", "RHODIUM"), ("MOLYBDENUM", "RHODIUM")),
    private=(
        Private(0x0045, "GEMS_SENO_02", 0x06, "DS", "=0"),
        Private(0x0045, "GEMS_SENO_02", 0x1B, "LO", "clinical_view"),
        Private(0x0045, "GEMS_SENO_02", 0x20, "DS", "=1094.51"),
        Private(0x0045, "GEMS_SENO_02", 0x49, "DS", "=58"),
        Private(0x0045, "GEMS_SENO_02", 0x50, "UI", "private_uid"),
        Private(0x0045, "GEMS_SENO_02", 0x90, "ST", "family"),
        Private(0x0905, "GEIIS", 0x30, "LO", "patient_id"),
        Private(0x0907, "GEIIS", 0x10, "UI", "private_uid"),
        Private(0x07A1, "ELSCINT1", 0x2A, "CS", "=UNREAD"),
        Private(0x07A1, "ELSCINT1", 0x70, "SH", "referring"),
    ),
)

SIEMENS = Vendor(
    name="siemens",
    share=0.20,
    manufacturer="SIEMENS",
    models=("MAMMOMAT Inspiration", "Mammomat Novation DR", "MAMMOMAT Revelation"),
    software="VB60F",
    uid_root="1.3.12.2.1107.5.12.7.",
    formats=(Format(2800, 2082, 0.085), Format(3518, 2800, 0.085)),
    gray=Gray(
        bits=12,
        photometric="MONOCHROME2",
        black=0,
        white=3600,
        gamma=1.45,
        shoulder=0.1,
        voi=("LINEAR",),
        windows=(("WINDOW1", 0.08, 0.92), ("WINDOW2", 0.15, 0.88)),
        air_noise=6.0,
    ),
    raw=Raw(bits=14, gain=13000, mu=3.1, offset=50),
    syntaxes=(EXPLICIT, JPEG_LS, IMPLICIT),
    detector_type="DIRECT",
    detector_description="a-Se LMAM2",
    targets=(("TUNGSTEN", "RHODIUM"),),
    private=(
        Private(0x0011, "SIEMENS RIS", 0x11, "LO", "patient_id"),
        Private(0x0011, "SIEMENS RIS", 0x20, "DA", "study_date"),
        Private(0x0011, "SIEMENS RIS", 0x30, "PN", "name"),
        Private(0x0031, "SIEMENS RIS", 0x45, "LO", "referring"),
        Private(0x0019, "SIEMENS MED SP DXMG WH AWS 1", 0x02, "US", "=1"),
        Private(0x0041, "SIEMENS MED SP DXMG WH AWS 1", 0x02, "SH", "=SCREENING"),
        Private(0x0055, "SIEMENS MED SP DXMG WH AWS 1", 0x01, "LO", "clinical_view"),
        Private(0x0029, "SIEMENS MEDCOM HEADER", 0x09, "LO", "=VB60F"),
        Private(0x0029, "SIEMENS MEDCOM HEADER", 0x20, "OB", "history"),
    ),
)

FUJIFILM = Vendor(
    name="fujifilm",
    share=0.13,
    manufacturer="FUJIFILM Corporation",
    models=("FDR-3500DRLH", "FDR MS-3500", "AMULET Innovality"),
    software="A13-02",
    uid_root="1.2.392.200036.9125.9.0.",
    formats=(Format(4728, 3540, 0.05), Format(5928, 4728, 0.05)),
    gray=Gray(
        bits=12,
        photometric="MONOCHROME1",
        black=180,
        white=3950,
        gamma=0.85,
        shoulder=0.45,
        voi=("LUT",),
        windows=(("STANDARD", 0.06, 0.94), ("HIGH CONTRAST", 0.14, 0.86)),
        air_noise=3.0,
    ),
    raw=Raw(bits=14, gain=15500, mu=3.5, offset=100),
    syntaxes=(EXPLICIT, JPEG_LOSSLESS, RLE),
    detector_type="DIRECT",
    detector_description="a-Se HCP TFT",
    targets=(("TUNGSTEN", "RHODIUM"), ("TUNGSTEN", "ALUMINUM")),
    private=(
        Private(0x0009, "FDMS 1.0", 0x04, "SH", "=CR-IR363"),
        Private(0x0009, "FDMS 1.0", 0x80, "LO", "institution"),
        Private(0x0009, "FDMS 1.0", 0x92, "SH", "=MAMMOGRAPHY"),
        Private(0x0019, "FDMS 1.0", 0x60, "SH", "operator"),
        Private(0x0019, "FDMS 1.0", 0x90, "SH", "family"),
        Private(0x0019, "FDMS 1.0", 0x91, "SH", "birth_date"),
        Private(0x0021, "FDMS 1.0", 0x10, "CS", "=F1"),
        Private(0x0025, "FDMS 1.0", 0x10, "US", "=118"),
    ),
)

PHILIPS = Vendor(
    name="philips",
    share=0.12,
    manufacturer="Philips Digital Mammography Sweden AB",
    models=("L30", "MicroDose SI L50"),
    software="8.3.72",
    uid_root="1.2.752.37.54.",
    formats=(Format(5355, 4915, 0.05),),
    gray=Gray(
        bits=14,
        photometric="MONOCHROME1",
        black=900,
        white=11500,
        gamma=1.2,
        shoulder=0.6,
        voi=("SIGMOID",),
        windows=(("Standard", 0.08, 0.86), ("Bright", 0.02, 0.80), ("Dark", 0.16, 0.92)),
        air_noise=14.0,
    ),
    raw=Raw(bits=15, gain=26000, mu=3.2, offset=0),
    syntaxes=(JPEG_2000, EXPLICIT),
    detector_type="DIRECT",
    detector_description="Si-strip photon counting",
    targets=(("TUNGSTEN", "ALUMINUM"),),
    private=(
        Private(0x0009, "SECTRA_Ident_01", 0x01, "LO", "accession"),
        Private(0x0009, "SECTRA_Ident_01", 0x02, "LO", "request_id"),
        Private(0x0009, "SECTRA_Ident_01", 0x04, "LO", "name_and_id"),
        Private(0x0029, "SECTRA_ImageInfo_01", 0x02, "CS", "=MARKED"),
        Private(0x0029, "SECTRA_ImageInfo_01", 0x04, "OB", "history"),
    ),
)

FILM = Vendor(
    name="film",
    share=0.0,
    manufacturer="HOWTEK",
    models=("MultiRAD 860",),
    software="DBA 4.1",
    uid_root="1.2.840.113817.",
    formats=(Format(4000, 3000, 0.06),),
    gray=Gray(
        bits=12,
        photometric="MONOCHROME2",
        black=100,
        white=3700,
        gamma=1.0,
        shoulder=0.0,
        voi=("LINEAR",),
        windows=(("", 0.02, 0.99),),
        air_noise=4.0,
    ),
    raw=Raw(bits=12, gain=4000, mu=3.0, offset=0),
    syntaxes=(EXPLICIT, JPEG_LOSSLESS),
    detector_type="FILM",
    detector_description="FILM SCANNED 12 BIT",
    targets=(("MOLYBDENUM", "MOLYBDENUM"),),
    private=(Private(0x0009, "HOWTEK FILM ID", 0x01, "LO", "name_and_id"),),
)

VENDORS = (HOLOGIC, GE, SIEMENS, FUJIFILM, PHILIPS)
"""The makers of digital mammography units, by how often they occur."""
