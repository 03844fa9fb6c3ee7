"""Walks the ledgers both ways: what a thing was made from, down to the raw file, and what was made from it."""

from dataclasses import dataclass
from functools import cached_property

from pipelines.storage.ledger import FILE, Batch
from pipelines.storage.publication import Publisher
from pipelines.storage.zones import Zones

SEALED = "hmac:"
"""Prefix of a keyed digest that stands in the research zone for the digest of raw content."""


_GROUPS = ("level_d", "level_c", "level_b", "level_a", "pgan", "synthetic", "evaluation")


@dataclass(frozen=True)
class Node:
    """One thing that the ledgers know: id, digest, where it lies, and how it was made."""

    id: str
    sha256: str
    asset: str
    partition: str
    path: str
    operation: str
    code_version: str
    key_fingerprint: str
    recorded_at: str
    inputs: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Lineage:
    """The graph of everything that stands published in the zones at hand (the restricted one may be out of reach)."""

    zones: Zones

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """Every recorded thing of the standing publications."""
        publisher = Publisher(self.zones, "")
        nodes: list[Node] = []
        for asset in ("level_d/", "level_c/"):  # one asset of each zone names its ledger
            ledger = publisher.ledger_of(asset)
            for batch in ledger.latest().values():
                rows = ledger.rows(batch).to_pylist()
                nodes.extend(_node(batch, row) for row in rows if row["operation"] != FILE)
        return tuple(nodes)

    @cached_property
    def _by_id(self) -> dict[str, list[Node]]:
        index: dict[str, list[Node]] = {}
        for node in self.nodes:
            index.setdefault(node.id, []).append(node)
        return index

    @cached_property
    def _by_digest(self) -> dict[str, list[Node]]:
        index: dict[str, list[Node]] = {}
        for node in self.nodes:
            index.setdefault(node.sha256, []).append(node)
        return index

    @cached_property
    def _users(self) -> dict[Node, list[Node]]:
        index: dict[Node, list[Node]] = {}
        for node in self.nodes:
            for _, _, source in self.sources(node):
                if source is not None:
                    index.setdefault(source, []).append(node)
        return index

    def find(self, name: str) -> list[Node]:
        """All things of that id, or whose id or digest begins with it (8 characters at least)."""
        exact = self._by_id.get(name, [])
        if exact or len(name) < 8:
            return exact
        return [n for n in self.nodes if n.id.startswith(name) or n.sha256.startswith(name)]

    def sources(self, node: Node) -> list[tuple[str, str, Node | None]]:
        """What a thing was made from: (id, digest, the thing itself where a ledger at hand knows it).

        An input with a sealed or empty digest is known by its id, any other by its digest.
        """
        found = []
        for name, digest in node.inputs:
            by_id = not digest or digest.startswith(SEALED)
            candidates = self._by_id.get(name, []) if by_id else self._by_digest.get(digest, [])
            others = [n for n in candidates if n is not node]
            found.append((name, digest, min(others, key=lambda n: (n.id != name, -_height(n)), default=None)))
        return found

    def products(self, node: Node) -> list[Node]:
        """What was made from a thing."""
        return self._users.get(node, [])


def _height(node: Node) -> int:
    """How high on the ladder a thing was made: a picture that a step left as it was is that step's."""
    group = node.asset.split("/")[0]
    return _GROUPS.index(group) if group in _GROUPS else -1


def _node(batch: Batch, row: dict) -> Node:
    return Node(
        id=row["output"],
        sha256=row["sha256"],
        asset=batch.asset,
        partition=batch.partition,
        path=row["path"],
        operation=row["operation"],
        code_version=batch.code_version,
        key_fingerprint=batch.key_fingerprint,
        recorded_at=batch.recorded_at,
        inputs=tuple((i["id"], i["sha256"]) for i in row["inputs"]),
    )
