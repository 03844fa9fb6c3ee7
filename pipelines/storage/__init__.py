"""Ground floor: zones, keys, table contracts, atomic writes, image shards, ledger and workers. Knows no stage."""
