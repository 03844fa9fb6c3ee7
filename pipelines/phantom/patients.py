"""Pretend people: names from several cultures, ids, addresses, staff and exams. All of them are invented.

Everything here is drawn from ``random.Random`` seeded with text, so it depends on the seed and the patient's number
alone.
"""

import datetime
import hashlib
import random
import unicodedata
from dataclasses import dataclass

LATIN_1, UTF_8 = "ISO_IR 100", "ISO_IR 192"

_PEOPLE: tuple[tuple[str, str, str, str], ...] = (
    (LATIN_1, "Oberhuber Käsbohrer Wölfing Dreßler Hintermoser", "Mechthild Jörgina Liesbeth Waltraud Gudrun", "43"),
    (LATIN_1, "Bouffardeau Lhéritier Françoux Desmarchais", "Geneviève Hélène Ségolène Margaux", "33"),
    (LATIN_1, "Ibarretxe Cifuentes Peñaranda Zubizarreta", "Begoña Remedios Inmaculada Asunción", "34"),
    (LATIN_1, "Lindqvist Åkerblom Sjögren Östergård", "Ingegärd Solveig Gunhild Märtha", "46"),
    (
        LATIN_1,
        "Featherstonehaugh Cholmondeley Wigglesworth Thistlethwaite",
        "Philippa Rosalind Gwendolyn Winifred",
        "44",
    ),
    (LATIN_1, "Quattrocchi Bevilacqua Scognamiglio Guicciardini", "Ludovica Ersilia Graziella Domitilla", "39"),
    (UTF_8, "Dvořáčková Říhošková Kučerňáková Žďárská", "Žofie Drahomíra Květoslava Jiřina", "420"),
    (UTF_8, "Brzęczyszczykiewicz Śmigielska Wąsowicz Gołębiowska", "Małgorzata Stanisława Grażyna Bożena", "48"),
    (UTF_8, "Küçükoğlu Yıldırımsoy Çağlayangil Şahinbaş", "Nilüfer Gülşen Ayşegül Özlem", "90"),
    (UTF_8, "Yamanouchi=山之内 Higashikuni=東久邇 Saionji=西園寺", "Hanayo=花代 Kikuyo=菊代 Chizuru=千鶴", "81"),
    (UTF_8, "Okonkwọ Adébáyọ̀ Nwachukwu Ọláníyan", "Ngozichukwu Folaṣadé Adaeze Oluwakemi", "234"),
)
"""Charset, family names, given names, country calling code."""

_STREETS = ("Lindenhofgasse", "Rue des Tanneurs", "Hawthornden Crescent", "Calle Mirasierra", "Björkhagsvägen")
_TOWNS = ("Oberammerfeld", "Saint-Aubrac", "Netherwick", "Villasandino", "Hultaryd")
_HOSPITALS = (
    ("Klinikum Sankt Walburgis", "Walburgisallee 14, 83999 Oberammerfeld"),
    ("Netherwick Royal Infirmary", "Infirmary Lane 2, Netherwick NW7 4QX"),
    ("Centre Hospitalier Saint-Aubrac", "12 avenue du Moulinet, 12999 Saint-Aubrac"),
)
_PHYSICIANS = ("Grünwälder^Ottokar", "Vandersloot^Marijke", "Abernathy^Cuthbert", "Morgenthaler^Sieglinde")
_READERS = ("Hohenstaufer^Irmtraud", "Castlereagh^Benedict", "Villaverde^Encarnación", "Brandvold^Torkjell")
_OPERATORS = ("Pfefferkorn^Annelore", "Ravenscroft^Jemima", "Dupuytren^Clotilde")


@dataclass(frozen=True)
class Person:
    """A pretend patient. ``family``/``given`` in Latin script; ``ideographic`` as family^given, or empty."""

    number: int
    charset: str
    family: str
    given: str
    ideographic: str
    patient_id: str
    other_id: str
    insurance_id: str
    birth_date: datetime.date
    address: str
    town: str
    phone: str
    email: str

    @property
    def dicom_name(self) -> str:
        """The name as a DICOM Person Name."""
        return f"{self.family}^{self.given}" + (f"={self.ideographic}" if self.ideographic else "")

    @property
    def folder_name(self) -> str:
        """The name as a hospital's export writes it into a folder's name: FAMILY_GIVEN_19610412."""
        return f"{plain(self.family)}_{plain(self.given)}_{self.birth_date:%Y%m%d}".upper()


@dataclass(frozen=True)
class Exam:
    """One screening exam of a person, with all that a hospital writes into its headers."""

    person: Person
    accession: str
    study_id: str
    request_id: str
    date: datetime.date
    time: datetime.time
    institution: str
    institution_address: str
    station: str
    serial: str
    referring: str
    reader: str
    operator: str
    study_uid: str

    @property
    def prior_date(self) -> datetime.date:
        """The day of the exam before this one, which reports speak of."""
        return self.date.replace(year=self.date.year - 2, day=min(self.date.day, 28))

    @property
    def age(self) -> int:
        """The patient's age in whole years on the day of the exam."""
        born = self.person.birth_date
        return self.date.year - born.year - ((self.date.month, self.date.day) < (born.month, born.day))


def invent_person(seed: int, number: int, age: int | None = None) -> Person:
    """The archive's patient of the given number; ``age`` (years at the exam) is drawn from 40…79 where not given."""
    rng = random.Random(f"person:{seed}:{number}")
    charset, families, givens, calling = rng.choice(_PEOPLE)
    family, _, ideo_family = rng.choice(families.split()).partition("=")
    given, _, ideo_given = rng.choice(givens.split()).partition("=")
    years = age if age is not None else round(rng.triangular(40, 79, 54))
    date = _exam_date(seed, number)
    birth = datetime.date(date.year - years, date.month, min(date.day, 28)) - datetime.timedelta(rng.randrange(360))
    return Person(
        number=number,
        charset=charset,
        family=family,
        given=given,
        ideographic=f"{ideo_family}^{ideo_given}" if ideo_family else "",
        patient_id=f"{rng.choice('HKMW')}{rng.randrange(10**7, 10**8)}",
        other_id=f"{rng.randrange(10**9, 10**10)}",
        insurance_id=f"{rng.choice('ABKT')}{rng.randrange(10**8, 10**9)}",
        birth_date=birth,
        address=f"{rng.choice(_STREETS)} {rng.randrange(1, 190)}",
        town=f"{rng.randrange(10**4, 10**5)} {rng.choice(_TOWNS)}",
        phone=f"+{calling} {rng.randrange(100, 999)} {rng.randrange(10**6, 10**7)}",
        email=f"{plain(given)}.{plain(family)}{rng.randrange(10, 99)}@posteo.example".lower(),
    )


def invent_exam(seed: int, person: Person, vendor: str) -> Exam:
    """The person's exam, in 2023 or 2024, on one of her hospital's units."""
    rng = random.Random(f"exam:{seed}:{person.number}")
    institution, address = _HOSPITALS[seed % len(_HOSPITALS)]
    room = 1 + sum(map(ord, vendor)) % 7
    return Exam(
        person=person,
        accession=f"{rng.choice(('MG', 'RAD', 'A'))}{rng.randrange(10**8, 10**9)}",
        study_id=f"S{rng.randrange(10**5, 10**6)}",
        request_id=f"RQ{rng.randrange(10**6, 10**7)}",
        date=_exam_date(seed, person.number),
        time=datetime.time(rng.randrange(8, 17), rng.randrange(60), rng.randrange(60)),
        institution=institution,
        institution_address=address,
        station=f"MAMMO{room:02d}{vendor[:3].upper()}",
        serial=f"{random.Random(f'serial:{seed}:{vendor}').randrange(10**8, 10**9)}",
        referring=rng.choice(_PHYSICIANS),
        reader=rng.choice(_READERS),
        operator=rng.choice(_OPERATORS),
        study_uid=derive_uid("2.25.", seed, person.number, "study"),
    )


def _exam_date(seed: int, number: int) -> datetime.date:
    return datetime.date(2023, 1, 9) + datetime.timedelta(days=random.Random(f"date:{seed}:{number}").randrange(690))


def derive_uid(root: str, *parts: object) -> str:
    """A UID below ``root``, at most 64 characters, made of a hash of the parts: the same parts give the same UID."""
    digest = hashlib.sha256("\0".join(map(str, parts)).encode()).digest()
    return root + str(1 + int.from_bytes(digest[:16], "big"))[: 63 - len(root)]


def plain(text: str) -> str:
    """The text in ASCII letters, as export folders and film printers write names."""
    text = text.translate(_NO_ACCENT)
    letters = unicodedata.normalize("NFKD", text)
    return "".join(c for c in letters if c.isascii() and (c.isalnum() or c in " -^._")).replace(" ", "")


_NO_ACCENT = {ord(a): b for a, b in (("ß", "ss"), ("ø", "o"), ("Ø", "O"), ("ł", "l"), ("Ł", "L"), ("ı", "i"))}


def spoken(dicom_name: str) -> str:
    """A DICOM Person Name as it is written in a letter: given name, family name."""
    family, _, given = dicom_name.partition("=")[0].partition("^")
    return f"{given} {family}".strip()


def identifiers(exam: Exam) -> list[tuple[str, str]]:
    """Every string that identifies the person or the exam, as (kind, value): the canaries."""
    p = exam.person
    found = [
        ("family_name", p.family),
        ("family_name", plain(p.family)),
        ("family_name", plain(p.family).upper()),
        ("given_name", p.given),
        ("given_name", plain(p.given)),
        ("given_name", plain(p.given).upper()),
        ("patient_name", p.dicom_name),
        ("patient_id", p.patient_id),
        ("other_patient_id", p.other_id),
        ("insurance_id", p.insurance_id),
        ("address", p.address),
        ("town", p.town),
        ("phone", p.phone),
        ("email", p.email),
        ("folder_name", p.folder_name),
        ("accession_number", exam.accession),
        ("study_id", exam.study_id),
        ("request_id", exam.request_id),
        ("study_uid", exam.study_uid),
    ]
    found += [("ideographic_name", part) for part in p.ideographic.split("^") if part]
    found += [("birth_date", form) for form in written_dates(p.birth_date)]
    found += [("study_date", form) for form in written_dates(exam.date)]
    found += [("prior_date", form) for form in written_dates(exam.prior_date)]
    for kind, name in (("referring", exam.referring), ("reader", exam.reader), ("operator", exam.operator)):
        found += [(kind, part) for part in name.split("^")]
    found += [("institution", exam.institution), ("institution", exam.institution_address), ("station", exam.station)]
    return list(dict.fromkeys(found))


def written_dates(date: datetime.date) -> tuple[str, ...]:
    """The date in the forms in which headers, reports and folder names write it."""
    return (f"{date:%Y%m%d}", f"{date:%d.%m.%Y}", f"{date:%Y-%m-%d}")
