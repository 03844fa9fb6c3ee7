"""What of a published model may leave: generator, description, card, figures, pictures; not the critic.

Whoever has the critic can find out whose images were in the training set (Hayes et al. 2019, LOGAN).
"""

import shutil
from pathlib import Path

from pipelines.pgan.model import RESTRICTED, ModelError, read_description
from pipelines.storage.manifest import files_below, write_manifest


def write_release(model_folder: Path, folder: Path) -> list[str]:
    """Copy what may leave of a published model into ``folder``, with a manifest of digests; the files' paths.

    Raises ModelError where the folder holds no model, FileExistsError where ``folder`` is there already.
    """
    read_description(model_folder)
    leaving = [path for path in files_below(model_folder) if Path(path).parts[0] != RESTRICTED]
    folder.mkdir(parents=True)
    for path in leaving:
        if Path(path).name != path:
            raise ModelError("a folder in the model that is not known to leave")
        shutil.copyfile(model_folder / path, folder / path)
    write_manifest(folder, {})
    return leaving
