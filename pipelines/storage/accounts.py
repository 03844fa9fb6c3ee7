"""Full accounts of errors, in the restricted zone: exceptions quote values, which may identify a patient."""

import traceback
from pathlib import Path

from pipelines.storage.atomic import write_bytes
from pipelines.storage.digests import sha256_of_bytes


def write_account(errors: Path, asset: str) -> str:
    """Write the traceback of the exception being handled into a folder that only the owner can read; the file's name.

    The name quotes nothing: the asset and a digest of the account.
    """
    account = traceback.format_exc().encode("utf-8", "backslashreplace")
    name = f"{asset.replace('/', '.')}-{sha256_of_bytes(account)[:12]}.txt"
    errors.mkdir(mode=0o700, exist_ok=True)
    write_bytes(errors / name, account, 0o600)
    return name
