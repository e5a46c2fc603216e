"""Presets on the Hugging Face Hub: `hf://user/repo`, `hf://user/repo/folder@revision`."""

from __future__ import annotations

import re
from pathlib import Path

from learned_optimizer.presets.written import CARD, CONFIG, WEIGHTS, PresetError, shortened

SCHEME = "hf://"
NAME = re.compile(
    rf"{SCHEME}(?P<repo>[\w.-]+/[\w.-]+)(?P<folder>(?:/[\w.-]+)*)/?(?:@(?P<revision>[\w.-]+(?:/[\w.-]+)*))?", re.ASCII
)
# Of a preset and of those of its groups; nothing else is downloaded.
FILES = tuple(pattern for name in (CONFIG, WEIGHTS, CARD) for pattern in (name, f"group_*/{name}"))


def is_on_hub(preset: object) -> bool:
    """Whether a preset is named by its place on the Hub."""
    return isinstance(preset, str) and preset.startswith(SCHEME)


def download(name: str) -> Path:
    """The folder of a preset of the Hub in the local cache, where it is downloaded once for each revision.

    Like any folder, it is checked when it is loaded. Digests there show damage and no forgery: a revision that is a
    commit's full hash is always the same files.

    Args:
        name: The place, `hf://user/repo/folder@revision`. The folder is the repository itself if none is given, the
            revision its main branch; it may be a branch, a tag or a commit.

    Raises:
        PresetError: If the name is of another form, the extra is missing, or there is no such preset, or no connection
            and no copy in the cache.
    """
    found = NAME.fullmatch(name)
    if found is None or {".", ".."} & set(found["folder"].split("/")):
        raise PresetError(
            f"A preset on the Hugging Face Hub is {SCHEME}user/repo, with /folder and @revision after it if needed. "
            f"Received: {shortened(name)}"
        )
    try:
        from huggingface_hub import snapshot_download
    except ModuleNotFoundError as error:
        raise PresetError(
            f"Presets of the Hugging Face Hub need: pip install 'learned-optimizer[hub]'. Received: {shortened(name)}"
        ) from error
    folder = found["folder"].strip("/")
    patterns = [f"{folder}/{file}" if folder else file for file in FILES]
    try:
        snapshot = snapshot_download(found["repo"], revision=found["revision"], allow_patterns=patterns)
    # Its errors on names, on what is not there, and on connections.
    except (OSError, ValueError) as error:
        raise PresetError(f"{shortened(name)} cannot be downloaded: {shortened(error)}") from error
    place = Path(snapshot) / folder
    if not (place / CONFIG).is_file():
        raise PresetError(f"{shortened(name)} holds no preset: it has no {CONFIG}.")
    return place
