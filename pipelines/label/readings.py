"""Joins votes to breasts and makes readings of them: what one reader said of one breast, by whatever channel.

A vote joins an image by the first identifier that both carry: SOP instance, study, accession, patient; and a breast
through its images. Its scope is the closer the lower: the image, the breast in this examination, the examination, the
breast at any time, the patient. What is said of the patient alone counts only where no reader spoke of the examination.

Table, structured report and text of one examination are one reading, not three: where the reader is not named she is
taken for the one who is, and among several named readers for the one whose word is nearest. Within a reading the best
channel decides (table, structured report, text), then the closest scope, then the median.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa

from pipelines.storage.digests import sha256_of_json
from pipelines.storage.tables import DENSITIES

CHANNELS = ("table", "sr", "text")
"""The channels of a reading, best first."""

BELIEVED = 2 / 3
"""Weight of the statement that is believed where a reading contradicts itself; the others share the rest."""

_JOINS = ("sop_instance_uid", "study_instance_uid", "accession", "patient")
_PATIENT_SCOPE = 3
Row = dict[str, Any]
Weights = tuple[float, float, float, float]


@dataclass(frozen=True, order=True)
class Reading:
    """What one reader said: the density (or the neighboring ones that it may be), and what contradicts it within.

    ``rater`` is the reader's pseudonym, or the channel where nobody is named.
    """

    rater: str
    believed: str
    doubts: tuple[str, ...] = ()

    @property
    def weights(self) -> Weights:
        """How likely each density A-D is what the reader said, up to a factor; 1 for each that a lone word allows."""
        if not self.doubts:
            return _weights({self.believed: 1.0})
        share = (1 - BELIEVED) / len(self.doubts)
        return _weights({self.believed: BELIEVED, **dict.fromkeys(self.doubts, share)})


def _weights(share_of: Mapping[str, float]) -> Weights:
    a, b, c, d = (round(sum(w for said, w in share_of.items() if density in said), 6) for density in DENSITIES)
    return a, b, c, d


@dataclass
class Breast:
    """A breast in an examination, with everything that was said of it.

    Where an image's side is not known, the image stands for a breast of its own. ``votes`` are rows of VOTES by their
    id; ``readings`` are the reviewers' alone where a reviewer spoke; ``pixels`` are what models said.
    """

    breast_id: str
    exam_id: str
    patient: str
    study_instance_uid: str | None
    accession: str | None
    laterality: str | None
    image_ids: list[str] = field(default_factory=list)
    votes: dict[str, Row] = field(default_factory=dict)
    readings: tuple[Reading, ...] = ()
    reviewed: bool = False
    scopes: dict[str, int] = field(default_factory=dict)

    @property
    def pixels(self) -> list[Row]:
        """The votes of models that looked at the pixels."""
        return [v for v in self.votes.values() if v["source"] == "pixels"]


def breasts_of(votes: pa.Table, images: pa.Table) -> list[Breast]:
    """The breasts of all kept images of known patients (IMAGES of any number of deliveries), in order of their ids.

    An image that came in two deliveries counts once.
    """
    columns = ["image_id", "delivery", "file_id", "status", "patient", "accession", "study_instance_uid", "laterality"]
    by_value: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for vote in votes.to_pylist():
        for name in _JOINS:
            if vote[name] is not None:
                by_value[name, vote[name]].append(vote)
    breasts: dict[str, Breast] = {}
    seen: set[str] = set()
    for image in sorted(images.select(columns).to_pylist(), key=lambda r: (r["delivery"], r["file_id"])):
        if image["status"] != "kept" or image["patient"] is None or image["image_id"] in seen:
            continue
        seen.add(image["image_id"])
        breast = _breast_of(image)
        breast = breasts.setdefault(breast.breast_id, breast)
        breast.image_ids.append(image["image_id"])
        for vote, scope in _spoken_of(image, by_value):
            breast.votes[vote["vote_id"]] = vote
            breast.scopes[vote["vote_id"]] = min(scope, breast.scopes.get(vote["vote_id"], scope))
    for breast in breasts.values():
        breast.votes = dict(sorted(breast.votes.items()))
        breast.readings, breast.reviewed = _readings(breast)
    return [breasts[k] for k in sorted(breasts)]


def _breast_of(image: Row) -> Breast:
    exam = image["study_instance_uid"] or image["accession"] or image["image_id"]
    one = image["image_id"] if image["laterality"] is None else None
    return Breast(
        breast_id="B-" + sha256_of_json([image["patient"], exam, image["laterality"], one])[:16],
        exam_id="E-" + sha256_of_json([image["patient"], exam])[:16],
        patient=image["patient"],
        study_instance_uid=image["study_instance_uid"],
        accession=image["accession"],
        laterality=image["laterality"],
    )


def _spoken_of(image: Row, by_value: Mapping[tuple[str, str], list[Row]]) -> Iterator[tuple[Row, int]]:
    """Each vote about the image, once, with its scope (0 closest)."""
    keys = {"sop_instance_uid": image["image_id"], **{name: image[name] for name in _JOINS[1:]}}
    candidates = {v["vote_id"]: v for n, value in keys.items() if value for v in by_value.get((n, value), ())}
    for vote in candidates.values():
        join = next(n for n in _JOINS if vote[n] is not None and keys[n] is not None)
        if vote[join] != keys[join]:
            continue
        if join == "sop_instance_uid":
            yield vote, 0
        elif vote["laterality"] is None or vote["laterality"] == image["laterality"]:
            yield vote, (_PATIENT_SCOPE if join == "patient" else 1) + (vote["laterality"] is None)


def _readings(breast: Breast) -> tuple[tuple[Reading, ...], bool]:
    """The breast's readings, and whether they are a reviewer's."""
    spoken = list(breast.votes.values())
    least = min((breast.scopes[v["vote_id"]] for v in spoken if v["source"] != "pixels"), default=_PATIENT_SCOPE)
    if least < _PATIENT_SCOPE:
        spoken = [v for v in spoken if breast.scopes[v["vote_id"]] < _PATIENT_SCOPE]
    reviews: dict[str, list[Row]] = defaultdict(list)
    said: dict[str, list[Row]] = defaultdict(list)
    for vote in spoken:
        if vote["source"] == "review":
            reviews[vote["reader"] or ""].append(vote)
        elif vote["source"] in CHANNELS:
            said[vote["reader"] or ""].append(vote)
    if reviews:
        return tuple(_reading("review", own, breast.scopes) for _, own in sorted(reviews.items())), True
    unnamed = said.pop("", [])
    if len(said) == 1:
        next(iter(said.values())).extend(unnamed)
    elif unnamed and not said:
        channel = min((v["source"] for v in unnamed), key=CHANNELS.index)
        return (_reading(channel, unnamed, breast.scopes),), False
    named = [_reading(reader, own, breast.scopes) for reader, own in sorted(said.items())]
    return tuple(_attached(named, unnamed) if len(named) > 1 else named), False


def _reading(rater: str, votes: Sequence[Row], scopes: Mapping[str, int]) -> Reading:
    ranked: dict[tuple[int, int], list[str]] = defaultdict(list)
    for vote in votes:
        rank = CHANNELS.index(vote["source"]) if vote["source"] in CHANNELS else 0
        ranked[rank, scopes[vote["vote_id"]]].append(vote["densities"])
    best = min(ranked)
    return _with(Reading(rater, median(ranked[best])), [said for rank in sorted(ranked) for said in ranked[rank]])


def _with(reading: Reading, said: Iterable[str]) -> Reading:
    """The reading with more statements: what agrees narrows a coarse word, what contradicts it is a doubt."""
    believed, doubts = reading.believed, set(reading.doubts)
    for statement in said:
        common = "".join(d for d in believed if d in statement)
        believed = common or believed
        if not common:
            doubts.add(statement)
    return replace(reading, believed=believed, doubts=tuple(sorted(doubts)))


def _attached(named: list[Reading], unnamed: Sequence[Row]) -> list[Reading]:
    """Several named readers' readings with the unnamed statements: each is that of the reader whose word is nearest."""
    for statement in sorted(vote["densities"] for vote in unnamed):
        nearest = min(range(len(named)), key=lambda n: (distance(named[n].believed, statement), n))
        named[nearest] = _with(named[nearest], [statement])
    return named


def distance(one: str, other: str) -> int:
    """How many categories lie between two statements; 0 where they can both be true."""
    lows = [DENSITIES.index(said[0]) for said in (one, other)]
    highs = [DENSITIES.index(said[-1]) for said in (one, other)]
    return max(0, max(lows) - min(highs))


def median(said: Iterable[str]) -> str:
    """The median of densities on the scale A to D (sets by their middle); of an even number, the denser middle one."""
    ordered = sorted(said, key=lambda s: (DENSITIES.index(s[0]) + DENSITIES.index(s[-1]), s))
    return ordered[len(ordered) // 2]


def exam_readings(breasts: Sequence[Breast]) -> tuple[Reading, ...]:
    """The readings of an examination: of each reader, that of the denser breast (BI-RADS 5th edition, report section).

    Where a breast was reviewed, the reviewer's word stands for it in every reading.
    """
    reviewed = [reading for breast in breasts if breast.reviewed for reading in breast.readings]
    own: dict[str, list[Reading]] = defaultdict(list)
    for breast in breasts:
        for reading in () if breast.reviewed else breast.readings:
            own[reading.rater].append(reading)
    pools = [readings + reviewed for readings in own.values()] or [[reading] for reading in reviewed]
    return tuple(sorted({max(pool, key=lambda r: (r.believed[-1], r.believed[0], r)) for pool in pools}))
