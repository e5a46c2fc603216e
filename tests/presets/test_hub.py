"""Presets of the Hugging Face Hub: out of a cache as huggingface_hub lays it out, without a connection."""

import json
import os
import shutil
import sys

import pytest

from learned_optimizer import LearnedOptimizer, presets
from learned_optimizer.black_box.optimizer import black_box_preset
from learned_optimizer.evaluation.contestants import contestants_of
from learned_optimizer.presets import PresetError, hub
from learned_optimizer.presets.library import FOLDER

hub_package = pytest.importorskip("huggingface_hub")
COMMITS = {"main": "a" * 40, "v1": "b" * 40}


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """The snapshots of user/repo by revision: presets as they come to lie there, files as links to blobs."""
    # Names of the package's modules, where it reads what a shell would have set.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    repo = tmp_path / "models--user--repo"
    (repo / "refs").mkdir(parents=True)
    (repo / "blobs").mkdir()
    snapshots = {}
    for revision, commit in COMMITS.items():
        (repo / "refs" / revision).write_text(commit)
        snapshots[revision] = repo / "snapshots" / commit
        for name, place in {"quadratic": ".", "cifar10-sub": "deeper/kernels", "black-box": "values"}.items():
            shutil.copytree(FOLDER / name, snapshots[revision] / place, dirs_exist_ok=True)
        if revision == "v1":
            presets.load("digits").save(snapshots[revision])
        for number, path in enumerate(sorted(path for path in snapshots[revision].rglob("*") if path.is_file())):
            blob = repo / "blobs" / f"{commit}{number}"
            path.rename(blob)
            path.symlink_to(os.path.relpath(blob, path.parent))
    return snapshots


def rewrite(path, content):
    path.unlink()
    path.write_bytes(content)


def test_a_preset_is_the_same_as_from_its_folder(repository):
    optimizer = LearnedOptimizer("hf://user/repo")
    assert optimizer.preset.digest == presets.load("quadratic").digest
    assert presets.load("hf://user/repo@v1").digest == presets.load("digits").digest
    assert presets.load(f"hf://user/repo@{COMMITS['v1']}").digest == presets.load("digits").digest
    kernels = presets.load("hf://user/repo/deeper/kernels@main")
    assert kernels.groups and kernels.digest == presets.load("cifar10-sub").digest
    assert black_box_preset("hf://user/repo/values").digest == presets.load("black-box").digest
    (contestant,) = contestants_of(["hf://user/repo"])
    assert contestant.label == "hf://user/repo"
    assert contestant.definition == contestants_of(["quadratic"])[0].definition


def test_a_damaged_preset_is_refused(repository):
    phi = repository["main"] / "phi.safetensors"
    content = bytearray(phi.read_bytes())
    content[-1] ^= 1
    rewrite(phi, bytes(content))
    with pytest.raises(PresetError, match="damaged: its SHA-256 is not the one that is stated"):
        LearnedOptimizer("hf://user/repo")
    stated = json.loads((repository["v1"] / "preset.json").read_text())
    rewrite(repository["v1"] / "preset.json", json.dumps(stated | {"format_version": 3}).encode())
    with pytest.raises(PresetError, match="Another version of learned_optimizer is needed"):
        LearnedOptimizer("hf://user/repo@v1")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("hf://user", "is hf://user/repo, with /folder and @revision after it if needed. Received: 'hf://user'"),
        ("hf://", "is hf://user/repo"),
        ("hf://user/repo/../../other", "is hf://user/repo"),
        ("hf://user/repo/a b", "is hf://user/repo"),
        ("hf://user/repo@", "is hf://user/repo"),
        ("hf://user/re--po", "cannot be downloaded: .*--"),
        ("hf://user/other", "'hf://user/other' cannot be downloaded: "),
        ("hf://user/repo@v2", "cannot be downloaded: "),
        ("hf://user/repo/deeper", "'hf://user/repo/deeper' holds no preset: it has no preset.json"),
    ],
)
def test_what_is_not_there_is_refused(name, message, repository):
    with pytest.raises(PresetError, match=message):
        LearnedOptimizer(name)


def test_only_the_files_of_a_preset_are_asked_for(monkeypatch, tmp_path):
    asked = {}

    def snapshot_download(repo, revision, allow_patterns):
        asked.update(repo=repo, revision=revision, patterns=allow_patterns)
        presets.load("digits").save(tmp_path / "deeper")
        return str(tmp_path)

    monkeypatch.setattr(hub_package, "snapshot_download", snapshot_download)
    assert presets.load("hf://user/repo/deeper@refs/pr/1").digest == presets.load("digits").digest
    assert asked["repo"] == "user/repo" and asked["revision"] == "refs/pr/1"
    assert sorted(asked["patterns"]) == sorted(
        f"deeper/{folder}{name}"
        for folder in ("", "group_*/")
        for name in ("preset.json", "phi.safetensors", "README.md")
    )


def test_without_the_extra_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(PresetError, match=r"pip install 'learned-optimizer\[hub\]'. Received: 'hf://user/repo'"):
        LearnedOptimizer("hf://user/repo")


def test_other_names_are_none_of_the_hub():
    assert not any(map(hub.is_on_hub, ("general", "runs/mine", "https://huggingface.co/user/repo", FOLDER)))
