"""What the cleaning of one object needs to know, and what it has done so far."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

from pydicom.sequence import Sequence

from pipelines.deidentify.deny import DenyList
from pipelines.deidentify.private import PrivateBlocks
from pipelines.deidentify.profile import Profile
from pipelines.deidentify.pseudonyms import Pseudonyms


@dataclass
class Cleaning:
    """What the cleaning of one object needs to know, and its count of actions by tag.

    ``clean_content`` cleans the items of a structured report's content tree before their own elements are, and adds to
    ``retained_uids`` those that an option retains by the concept of their item, to ``text_policies`` the policies of
    texts whose concept says that they are a device's.
    """

    profile: Profile
    pseudonyms: Pseudonyms
    patient: str
    deny: DenyList
    sop_class_uid: str
    clean_content: Callable[["Cleaning", Sequence], None]
    actions: Counter[tuple[int, str]] = field(default_factory=Counter)
    moved_dates: set[str] = field(default_factory=set)
    private_blocks: PrivateBlocks = field(default_factory=PrivateBlocks)
    private_retained: set[tuple[int, str]] = field(default_factory=set)
    overlays: frozenset[int] = frozenset()
    retained_uids: set[str] = field(default_factory=set)
    text_policies: dict[str, str] = field(default_factory=dict)
    last_action: str = ""

    @cached_property
    def days(self) -> int:
        """By how many days this patient's dates move into the past; 0 where dates do not move."""
        if not self.profile.is_on("retain_longitudinal_modified_dates"):
            return 0
        return self.pseudonyms.days(self.patient, self.profile.most_days)

    @cached_property
    def text_days(self) -> int | None:
        """By how many days dates in texts move into the past; None where no dates stay."""
        return self.days if self.days or self.profile.is_on("retain_longitudinal_full_dates") else None

    def count(self, tag: int, action: str) -> None:
        """Count an action on a tag; private attributes are counted together."""
        self.last_action = action
        self.actions[tag if (tag >> 16) % 2 == 0 else 0x00010001, action] += 1
