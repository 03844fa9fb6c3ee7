"""What auditors ask of the command line: trace, verify, status. Reads the zones; changes nothing."""

from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.tree import Tree

from pipelines.pgan.budget import read_underway
from pipelines.storage.ledger import LedgerError
from pipelines.storage.lineage import SEALED, Lineage, Node
from pipelines.storage.publication import Publisher
from pipelines.storage.zones import RESTRICTED_GROUPS, Zones

FIRST = 5
"""How many of many sources are shown unless all are asked for."""

ZONE_ASSETS = ("level_d/", "level_c/")
"""One asset prefix in each zone: names the zone's ledger."""


def print_trace(data: Path, name: str, *, every: bool) -> bool:
    """Print both directions from a thing; False where the ledgers do not know it."""
    lineage = Lineage(Zones.at(data))
    nodes = lineage.find(name)
    console = Console()
    for node in nodes:
        tree = Tree(_label(node))
        _grow(tree.add("made from"), lineage, node, every, set())
        products = lineage.products(node)
        if products:
            branch = tree.add(f"used for ({len(products)})")
            for product in products if every else products[:FIRST]:
                branch.add(_label(product))
            if len(products) > FIRST and not every:
                branch.add(f"… and {len(products) - FIRST} more")
        console.print(tree, highlight=False, soft_wrap=True)
    return bool(nodes)


def _grow(branch: Tree, lineage: Lineage, node: Node, every: bool, shown: set[Node]) -> None:
    """Add a thing's sources, and theirs; what stands in the tree already is named, not grown again."""
    shown.add(node)
    sources = lineage.sources(node)
    for name, digest, source in sources if every else sources[:FIRST]:
        if source is None:
            kind = "sealed digest " if digest.startswith(SEALED) else "sha256 "
            branch.add(f"{name}  [dim]{kind}{digest.removeprefix(SEALED)} (no ledger at hand knows more)[/dim]")
        elif source in shown:
            branch.add(f"{source.id}  {source.operation} [dim]sha256 {source.sha256} (see above)[/dim]")
        else:
            _grow(branch.add(_label(source)), lineage, source, every, shown)
    if len(sources) > FIRST and not every:
        branch.add(f"… and {len(sources) - FIRST} more")


def _label(node: Node) -> str:
    """A thing in two lines. Paths of the restricted zone stay there: folders and files are named after patients."""
    place = f"{node.asset}/{node.partition}".rstrip("/")
    restricted = node.asset.split("/")[0] in RESTRICTED_GROUPS
    return (
        f"[bold]{node.id}[/bold]  {node.operation} in {place}{'' if restricted else f' ({node.path})'}\n"
        f"[dim]sha256 {node.sha256}  by {node.code_version} "
        f"under key {node.key_fingerprint} at {node.recorded_at}[/dim]"
    )


def print_verification(data: Path) -> bool:
    """Check both ledgers' chains and hash every published file again; True where all is whole."""
    console = Console()
    zones = Zones.at(data)
    publisher = Publisher(zones, "")
    problems, files, batches = [], 0, 0
    for asset in ZONE_ASSETS:
        ledger = publisher.ledger_of(asset)
        problems += [f"{ledger.folder.relative_to(zones.root)}: {problem}" for problem in ledger.broken_links()]
        try:
            standing = ledger.latest().values()
        except LedgerError as error:
            problems.append(str(error))
            continue
        for batch in standing:
            batches += 1
            files += sum(1 for o in ledger.rows(batch).column("operation").to_pylist() if o == "file")
            problems += [f"changed, missing or unknown: {path}" for path in publisher.damaged(batch)]
    for problem in problems:
        console.print(f"[red]{problem}[/red]", highlight=False, soft_wrap=True)
    console.print(f"{files} files in {batches} publications hashed; {len(problems)} problems", highlight=False)
    return not problems


def print_status(data: Path) -> None:
    """Print what stands published, and the readiness level."""
    from assets.closing import level_line

    console = Console()
    zones = Zones.at(data)
    publisher = Publisher(zones, "")
    table = Table("asset", "partition", "recorded", "code", "content")
    for asset in ZONE_ASSETS:
        for (name, partition), batch in sorted(publisher.ledger_of(asset).latest().items()):
            table.add_row(name, partition, batch.recorded_at, batch.code_version, batch.content_sha256[:12])
    console.print(table)
    underway = read_underway(zones.workspace("pgan/model"))
    if underway:
        console.print(f"pgan/model: {underway}", highlight=False)
    console.print(level_line(zones))
