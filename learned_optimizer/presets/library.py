"""The presets that come with the library."""

from __future__ import annotations

from pathlib import Path

from learned_optimizer.presets.hub import download, is_on_hub
from learned_optimizer.presets.preset import CONFIG, Preset, PresetError
from learned_optimizer.presets.written import shortened

FOLDER = Path(__file__).parent / "data"
DEFAULT = "general"
"""The name of the preset that `LearnedOptimizer()` takes."""
# The name of the default among presets of rules that see values only, and the beginning of those of the others.
BLACK_BOX = "black-box"
# Names that presets had in earlier versions.
FORMER_NAMES = {"general-fast": "hand-designed", "general-next": "general"}


def names(black_box: bool = False) -> list[str]:
    """The names of the shipped presets for `LearnedOptimizer`; or of those for `black_box.minimize`."""
    shipped = sorted(path.parent.name for path in FOLDER.glob(f"*/{CONFIG}"))
    return [name for name in shipped if name.startswith(BLACK_BOX) == black_box]


def descriptions() -> dict[str, str]:
    """The name of each shipped preset, with a line on what it was meta-trained on."""
    every = [*names(), *names(black_box=True)]
    return {name: Preset.load(FOLDER / name).card.get("description", "") for name in every}


def load(preset: str | Path) -> Preset:
    """Loads a shipped preset by its name, or any by its folder. A run's folder stands for the best φ in it.

    `hf://user/repo`, or `hf://user/repo/folder@revision`, is one of the Hugging Face Hub, which is downloaded once and
    needs the extra `hub`.

    Raises:
        PresetError: If there is none, or it is damaged.
    """
    return Preset.load(locate(preset))


def locate(preset: str | Path) -> Path:
    """The folder that `load` reads.

    Raises:
        PresetError: If there is none.
    """
    if isinstance(preset, str) and is_on_hub(preset):
        return download(preset)
    every = [*names(), *names(black_box=True)]
    if isinstance(preset, str) and (name := FORMER_NAMES.get(preset, preset)) in every:
        return FOLDER / name
    message = f"There is no preset {shortened(str(preset))}: neither among {every}, nor a folder with a {CONFIG}."
    try:
        if folder := _preset_in(Path(preset)):
            return folder
        runs = _presets_of_runs(Path(preset))
    except (OSError, ValueError) as error:  # Of names that no file can have, and folders that may not be looked into.
        raise PresetError(message) from error
    if runs:
        message += f" It has several runs; name one of them, such as {str(runs[0])!r}."
    raise PresetError(message)


def locate_all(preset: str | Path) -> list[Path]:
    """The folder that `load` reads; or, of a folder of several runs, such as of several seeds, that of each.

    Raises:
        PresetError: If there is none.
    """
    try:
        return [locate(preset)]
    except PresetError:
        if not is_on_hub(preset) and (runs := _presets_of_runs(Path(preset))):
            return runs
        raise


def _preset_in(path: Path) -> Path | None:
    """The folder itself, if it holds a preset, or that of the best φ in a run's folder."""
    return next((folder for folder in (path, path / "best") if (folder / CONFIG).exists()), None)


def _presets_of_runs(path: Path) -> list[Path]:
    """That of each run in a folder."""
    return [folder for run in sorted(path.glob("*/")) if (folder := _preset_in(run))]
