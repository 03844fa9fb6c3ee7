"""The header engine: every element of an object, at any depth, is removed, emptied, replaced, cleaned or kept.

What is done to an attribute follows PS3.15 Table E.1-1 under a ``Profile``. Beyond the table's letter:

- attributes that neither the table nor the dictionary knows, private ones that are not safe (``private``), overlays but
  for those that ``graphics`` cleaned, curves, group lengths, and what follows the pixel data are removed;
- text in attributes that the table does not name is cleaned, numbers and codes that are no such are removed, UIDs that
  are not the standard's own are replaced, person names are emptied, network addresses and locations removed; what is
  removed in this way though some module of the standard requires it gets a dummy, or is left empty;
- a value that cannot be decoded is removed; for a sequence that would stay and cannot be, the object is refused.
"""

import re

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from pipelines.deidentify import values
from pipelines.deidentify.cleaning import Cleaning
from pipelines.deidentify.confidentiality import rule_of, strictest_type, type_of
from pipelines.deidentify.dictionary import keyword_for_tag
from pipelines.deidentify.dummies import (
    CODE_DUMMIES,
    CODE_VALUE,
    LONG_CODE_VALUE,
    SCHEME,
    dummy_content,
    dummy_sequence,
)
from pipelines.deidentify.elements import (
    PIXELS,
    is_uid,
    items_of,
    set_value,
    text_of,
    values_of,
    vr_in_dictionary,
    vr_of,
)
from pipelines.deidentify.graphics import overlays_without_text
from pipelines.deidentify.kept_values import (
    cap_ages,
    clean_texts,
    is_numeric,
    keep_binary_numbers,
    keep_bytes,
    keep_codes,
    move_times,
    new_uid,
    rename_titles,
    replace_uids,
)
from pipelines.deidentify.policies import is_harmless_code
from pipelines.deidentify.private import (
    CHARACTERISTICS,
    blocks_of,
    creator_of,
    describe_retained,
    is_creator,
    remove_idle_creators,
    take_vr,
)
from pipelines.deidentify.profile import Decision
from pipelines.deidentify.raw_values import element_at, has, remove, remove_all
from pipelines.deidentify.reading import tags_of
from pipelines.deidentify.refusals import RefusedError
from pipelines.deidentify.text import remove_denied
from pipelines.deidentify.unchanged import unchanged_before

_LAST = 0x7FE00010
_PICTURES = frozenset({0x7FE00008, 0x7FE00009, _LAST})
_PATIENT_ID, _PATIENT_NAME, _ACCESSION = 0x00100020, 0x00100010, 0x00080050
_CONTENT_SEQUENCE, _UID = 0x0040A730, 0x0040A124
_CONTENT_ITEMS = frozenset({_CONTENT_SEQUENCE, 0x00400555, 0x00400440, 0x00400441, 0x00400600, 0x00400612, 0x0040B020})
"""Sequences whose items are content items: of reports, of contexts of acquisition and protocol, of specimens."""
_CHARACTER_SET = 0x00080005
_OFFSET = re.compile(r"[+-][0-9]{4}")
_ONLY_WITH = {0x00102298: 0x00102297, 0x00120081: 0x00120082}
"""Attributes that may not be there without another one that goes (PS3.3 sections C.7.1.1, C.7.1.3): a responsible
person's role without the name, an ethics committee's name without the number of its approval."""
_DEEPEST = 64
"""Most sequences within one another; no IOD nests a tenth of that but for reports."""


def clean(dataset: Dataset, cleaning: Cleaning, path: tuple[str, ...] = ()) -> None:
    """Clean a data set, or a sequence item under the sequences named by ``path``, in place."""
    if not path:
        _look_ahead(dataset, cleaning)
    if len(path) > _DEEPEST:
        raise RefusedError("nested_too_deeply")
    every = tags_of(dataset)
    tags = _without_unsafe(dataset, every, cleaning)
    if path:
        for tag in tags:
            _treat(dataset, tag, cleaning, path)
    else:
        _treat_root(dataset, tags, cleaning)
    _settle(dataset, cleaning, tags)
    if any(tag & 0x10000 for tag in every):
        cleaning.actions[0x00010001, "private"] += remove_idle_creators(dataset)
    if not path:
        describe_retained(dataset, cleaning.private_retained)


def _treat_root(dataset: Dataset, tags: list[int], cleaning: Cleaning) -> None:
    """Treat the elements of a data set that is in no other: those that stay as an earlier object's did, at once."""
    unchanged = unchanged_before(dataset, cleaning)
    for tag in tags:
        raw = element_at(dataset, tag)
        action = unchanged.action(tag, raw)
        if action is not None:
            cleaning.count(tag, action)
            continue
        _treat(dataset, tag, cleaning, ())
        if element_at(dataset, tag) is raw:
            unchanged.remember(tag, raw, cleaning.last_action)


def _treat(dataset: Dataset, tag: int, cleaning: Cleaning, path: tuple[str, ...]) -> None:
    """Clean or remove one element."""
    decision = cleaning.profile.decide(tag)
    if (tag >> 16) % 2:
        _clean_private(dataset, tag, cleaning, path)
    elif _is_refuse(tag, path, cleaning.overlays):
        _remove(dataset, tag, cleaning, "X")
    elif tag in (_PATIENT_ID, _PATIENT_NAME, _ACCESSION):
        _pseudonymize(dataset, tag, cleaning)
    elif decision is not None:
        _obey(dataset, tag, decision, cleaning, path)
    elif vr_in_dictionary(tag):
        _keep(dataset, tag, cleaning, path)
    else:
        _remove(dataset, tag, cleaning, "X")


def _without_unsafe(dataset: Dataset, tags: list[int], cleaning: Cleaning) -> list[int]:
    """Remove the private elements that the standard's table does not call safe, all at once: most are; other tags."""
    profile = cleaning.profile
    if not profile.is_on("retain_safe_private"):
        return tags
    unsafe = cleaning.private_blocks.unsafe_in(dataset, tags, payloads=not profile.is_on("clean_pixel_data"))
    if not unsafe:
        return tags
    remove_all(dataset, unsafe)
    cleaning.actions[0x00010001, "private"] += len(unsafe)
    return [tag for tag in tags if tag not in unsafe]


def _settle(dataset: Dataset, cleaning: Cleaning, tags: list[int]) -> None:
    """Make what is left agree: a removed code is no code of the scheme that it was in, a role is somebody's."""
    for tag in (CODE_VALUE, LONG_CODE_VALUE):
        if tag in tags and text_of(dataset, tag) == CODE_DUMMIES[tag]:
            set_value(dataset, SCHEME, "SH", CODE_DUMMIES[SCHEME])
    for tag, other in _ONLY_WITH.items():
        if tag in tags and has(dataset, tag) and not text_of(dataset, other):
            decision = cleaning.profile.decide(tag)
            if decision is None or decision.action != "K":
                _remove(dataset, tag, cleaning, "X")


def _look_ahead(dataset: Dataset, cleaning: Cleaning) -> None:
    """Take what the object says of its private blocks, and clear its overlays of text, before anything is removed."""
    if cleaning.profile.is_on("retain_safe_private"):
        cleaning.private_blocks = blocks_of(dataset)
    if cleaning.profile.is_on("clean_graphics"):
        cleaning.overlays = overlays_without_text(dataset)


def _is_refuse(tag: int, path: tuple[str, ...], overlays: frozenset[int] = frozenset()) -> bool:
    """Command, file meta and directory elements, group lengths, curves, overlays, icons' pixels, trailing elements.

    What the object said of its private blocks goes as well: what is true of those that are left is stated anew.
    """
    group = tag >> 16
    if group <= 0x0006 or not tag & 0xFFFF or tag == CHARACTERISTICS:
        return True
    if 0x5000 <= group <= 0x50FF or 0x6000 <= group <= 0x60FF:
        return bool(path) or group not in overlays
    return tag > _LAST or (tag in PIXELS and bool(path))


def _clean_private(dataset: Dataset, tag: int, cleaning: Cleaning, path: tuple[str, ...]) -> None:
    """Clean or remove a private element; private creators are left until it is known what is left in their blocks."""
    profile, done = cleaning.profile, ""
    if not profile.is_on("retain_safe_private"):
        _remove(dataset, tag, cleaning, "private")
        return
    if is_creator(tag):
        return
    payloads = not profile.is_on("clean_pixel_data")
    action, vr = cleaning.private_blocks.action(dataset, tag, payloads=payloads)
    if action != "X" and take_vr(dataset, tag, vr):
        if action == "K":
            done = _kept(dataset, tag, vr_of(dataset, tag), cleaning, path, retained=False)
        else:
            done = _act(dataset, tag, action, cleaning, path)
    if done:
        cleaning.private_retained.add((tag >> 16, creator_of(dataset, tag)))
        cleaning.count(tag, done)
    else:
        _remove(dataset, tag, cleaning, "private")


def _remove(dataset: Dataset, tag: int, cleaning: Cleaning, action: str) -> None:
    remove(dataset, tag)
    cleaning.count(tag, action)


def _pseudonymize(dataset: Dataset, tag: int, cleaning: Cleaning) -> None:
    """The patient's and the order's ids: the same pseudonym wherever they stand, another one for another value."""
    if tag == _ACCESSION:
        value = text_of(dataset, tag)
        new = cleaning.pseudonyms.accession(value) if value else ""
    else:
        new = cleaning.patient
    set_value(dataset, tag, "PN" if tag == _PATIENT_NAME else "SH" if tag == _ACCESSION else "LO", new)
    cleaning.count(tag, "Z")


def _obey(dataset: Dataset, tag: int, decision: Decision, cleaning: Cleaning, path: tuple[str, ...]) -> None:
    action = decision.action
    if action in ("K", "C"):
        done = _retained(dataset, tag, decision, cleaning, path)
        if done:
            cleaning.count(tag, done)
            return
        rule = rule_of(tag)
        action = rule.basic if rule else "X"
    cleaning.count(tag, _act(dataset, tag, _resolved(action, tag, cleaning, path), cleaning, path))


def _resolved(action: str, tag: int, cleaning: Cleaning, path: tuple[str, ...]) -> str:
    """One action of several, by the attribute's Type at its place; where that is unknown, one that is valid anyhow.

    What the table would remove though its IOD requires it (RequestedProcedureID in reports) is emptied instead.
    """
    if action == "X/Z/U*":
        return "U"
    if action in ("D", "U"):
        return action
    choices = action.split("/")
    kind = type_of(cleaning.sop_class_uid, path, tag)
    if kind is None and action == "X/Z" and vr_in_dictionary(tag) == "SQ":
        return "U"
    if kind is None and len(choices) > 1:
        kind = 1 if "D" in choices else 2
    if kind == 1:
        return "D" if action != "X" or vr_in_dictionary(tag) != "SQ" else "X"
    if kind == 2:
        return "D" if action == "X/D" else "Z"
    return choices[0]


def _act(dataset: Dataset, tag: int, action: str, cleaning: Cleaning, path: tuple[str, ...]) -> str:
    """Do one action of the Basic Profile; returns the action that was done."""
    vr = vr_of(dataset, tag)
    if action == "U" and vr == "SQ" and _keep_sequence(dataset, tag, cleaning, path):
        return "U"
    if tag == _UID and text_of(dataset, tag) in cleaning.retained_uids:
        return "K"
    if vr == "UI" and action in ("U", "D"):
        replace_uids(dataset, tag, cleaning, every=True)
        return "U"
    if action == "Z":
        set_value(dataset, tag, vr, Sequence() if vr == "SQ" else None)
        return "Z"
    if action == "D":
        set_value(dataset, tag, vr, _dummies(dataset, tag, cleaning) if vr == "SQ" else values.dummy(vr))
        return "D"
    del dataset[tag]
    return "X"


def _retained(dataset: Dataset, tag: int, decision: Decision, cleaning: Cleaning, path: tuple[str, ...]) -> str:
    """Do what an option says (K or C); "" where it cannot be done and the Basic Profile's action applies."""
    vr = vr_of(dataset, tag)
    if vr == "SQ":
        return _keep_sequence(dataset, tag, cleaning, path) and decision.action
    if vr in ("DA", "DT", "TM"):
        return move_times(dataset, tag, vr, cleaning, retained=decision.action == "K")
    if vr == "AE" and decision.action == "C":
        return rename_titles(dataset, tag, cleaning)
    if decision.option == "retain_institution_identity" and vr in values.TEXT:
        return "K"
    if decision.option == "clean_graphics" and vr in ("OB", "OW"):
        return "C"
    if keyword_for_tag(tag) == "TimezoneOffsetFromUTC":
        return decision.action if _OFFSET.fullmatch(text_of(dataset, tag).strip(" \0")) else ""
    if decision.action == "K":
        return _kept(dataset, tag, vr, cleaning, path, retained=True)
    if vr not in values.TEXT | {"CS"}:
        return ""
    kind = "long_descriptors" if vr in values.LONG_TEXT else "short_descriptors"
    return "C" if clean_texts(dataset, tag, vr, cleaning, kind) else ""


def _keep(dataset: Dataset, tag: int, cleaning: Cleaning, path: tuple[str, ...]) -> None:
    """Keep an element that the table does not name if it is what it claims to be, cleaned as its VR asks."""
    vr = vr_of(dataset, tag)
    done = ""
    if values.agrees(vr, vr_in_dictionary(tag)):
        done = _kept(dataset, tag, vr, cleaning, path, retained=False)
    cleaning.count(tag, done or _stand_in(dataset, tag))


def _stand_in(dataset: Dataset, tag: int) -> str:
    """Put a dummy, or nothing, in place of a value that may not stay, or remove the element; returns what was done.

    What was to be a number is left empty: no measurement is made up.
    """
    vr, kind = vr_in_dictionary(tag), strictest_type(tag) if tag != _CHARACTER_SET else 3
    if tag in CODE_DUMMIES or (kind == 1 and vr not in ("AS", "DS", "IS")):
        set_value(dataset, tag, vr, CODE_DUMMIES.get(tag) or values.dummy(vr))
        return "D"
    if kind < 3:
        set_value(dataset, tag, vr, None)
        return "Z"
    del dataset[tag]
    return "X"


def _kept(dataset: Dataset, tag: int, vr: str, cleaning: Cleaning, path: tuple[str, ...], *, retained: bool) -> str:
    """Keep an element, cleaned as its VR asks: K, C or U; "" where it is not what it claims to be.

    ``retained``: an option names it, so that its UIDs and words stay but for what the object's own header names.
    """
    if vr == "SQ":
        return _keep_sequence(dataset, tag, cleaning, path)
    if vr == "UI":
        stays = retained and all(is_uid(uid.strip(" \0")) for uid in values_of(dataset, tag) if uid)
        return "K" if stays else replace_uids(dataset, tag, cleaning, every=False)
    if vr in values.TEXT:
        kind = "retained" if retained else "other_long" if vr in values.LONG_TEXT else "other_short"
        return clean_texts(dataset, tag, vr, cleaning, kind)
    if vr in ("DA", "DT", "TM"):
        return move_times(dataset, tag, vr, cleaning)
    if vr in ("DS", "IS"):
        return "K" if is_numeric(dataset, tag) else ""
    if vr == "CS":
        return keep_codes(dataset, tag, cleaning, retained=retained)
    if vr == "AS":
        return cap_ages(dataset, tag, cleaning.profile.oldest)
    if vr == "PN":
        required = strictest_type(tag) == 1
        set_value(dataset, tag, vr, values.REMOVED if required else None)
        return "D" if required else "Z"
    if vr in values.SIZES:
        return keep_binary_numbers(dataset, tag, vr)
    if vr in ("AE", "UR"):
        return "K" if retained and not any(remove_denied(v, cleaning.deny)[1] for v in values_of(dataset, tag)) else ""
    if retained or (
        tag in _PICTURES and not path
    ):  # the object's own picture: what it shows was searched, or is carried
        return "K"
    return keep_bytes(dataset, tag, vr) if vr != "UN" else ""


def _keep_sequence(dataset: Dataset, tag: int, cleaning: Cleaning, path: tuple[str, ...]) -> str:
    """Clean a sequence's items, those of a content tree by their concepts first, the whole tree at once.

    Raises RefusedError where it cannot be parsed: what is in it could not be cleaned, and would be lost unseen.
    """
    items = _items(dataset, tag)
    if tag in _CONTENT_ITEMS and "ContentSequence" not in path:
        cleaning.clean_content(cleaning, items)
        if tag == _CONTENT_SEQUENCE and not items:
            items.append(dummy_content())
    for item in items:
        clean(item, cleaning, (*path, keyword_for_tag(tag)))
    return "K"


def _items(dataset: Dataset, tag: int) -> Sequence:
    raw = dataset.get_item(tag)
    if isinstance(raw, RawDataElement) and not raw.value:
        set_value(dataset, tag, "SQ", Sequence())
    items = items_of(dataset, tag)
    if items is None:
        raise RefusedError("sequence_unreadable")
    return items


def _dummies(dataset: Dataset, tag: int, cleaning: Cleaning) -> Sequence:
    def pseudonym(uid: str) -> str:
        kept = cleaning.profile.is_on("retain_uids")
        return uid if kept else new_uid(uid.strip(" \0"), cleaning, every=False)

    return dummy_sequence(dataset, tag, pseudonym, lambda code: is_harmless_code(code, cleaning.deny))
