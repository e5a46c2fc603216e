"""What is no JSON of a size that makes sense is refused before it is read."""

import json
import os

import pytest

from learned_optimizer.files import LARGEST_JSON, UnreadableFileError, parse_json, read_json


def test_json_is_read(tmp_path):
    value = {"a": [1, 2.5, None, True, {"φ": "\U0001f600"}]}
    (tmp_path / "file").write_text(json.dumps(value))
    assert read_json(tmp_path / "file") == value
    assert json.dumps(parse_json("[NaN, -Infinity]", finite=False)) == "[NaN, -Infinity]"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no JSON"),
        ("{", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("[" * 200 + "]" * 200, "more than 100 levels"),
        ('{"a": ' * 200 + "1" + "}" * 200, "more than 100 levels"),
        ("NaN", "must be finite. Received: NaN"),
        ("[1e999]", "must be finite. Received: 1e999"),
        ('{"a": 1, "a": 2}', "a key is there twice"),
        ('"\\ud800"', "surrogates not allowed"),
        ("1" * 5000, "no JSON"),
    ],
    ids=lambda value: value[:15],
)
def test_what_is_none_is_refused(text, message, tmp_path):
    (tmp_path / "file").write_text(text)
    with pytest.raises(UnreadableFileError, match=message):
        read_json(tmp_path / "file")


def test_what_is_no_text_is_refused(tmp_path):
    (tmp_path / "file").write_bytes(b"\xff\xfe")
    with pytest.raises(UnreadableFileError, match="it is no text"):
        read_json(tmp_path / "file")


def test_a_large_file_is_not_read(tmp_path, monkeypatch):
    with (tmp_path / "file").open("wb") as file:
        file.truncate(10**12)  # It takes no space on the disk.
    monkeypatch.setattr("pathlib.Path.open", lambda *_: pytest.fail("It was read."))
    with pytest.raises(UnreadableFileError, match=f"at most {LARGEST_JSON:,} bytes. Received: 1,000,000,000,000"):
        read_json(tmp_path / "file")


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: os.symlink("/dev/zero", path)])
def test_what_is_no_file_is_not_waited_for(make, tmp_path):
    make(tmp_path / "file")
    with pytest.raises(UnreadableFileError, match="must be a plain file"):
        read_json(tmp_path / "file")


def test_a_missing_file_is_missing(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_json(tmp_path / "file")
