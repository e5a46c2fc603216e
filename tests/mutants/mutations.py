"""Random damage to bytes, JSON, tensors and folders, the same for the same generator."""

import copy
import json
import os
import shutil

import numpy as np
import safetensors.numpy

# In place of a value: other types, no numbers, and sizes that no memory has.
NASTY = (None, True, False, -1, 0, 3, 2.5, 10**12, 10**30, -(10**400), "", "abc", "x" * 10_000, "../..", "/etc/passwd")
NASTY += ([], {}, [[]], [1, 2], {"name": "x"}, float("nan"), float("inf"), "group_0", "(a+)+$", "[", "\ud800", "\0")


def pick(generator, values):
    return values[int(generator.integers(len(values)))]


def damage_bytes(generator, content):
    """Content with a few bits, bytes or stretches of it changed, lost or repeated."""
    changed = bytearray(content)
    for _ in range(int(generator.integers(1, 4))):
        if not changed:
            break
        at = int(generator.integers(len(changed)))
        length = int(generator.integers(1, 64))
        kind = int(generator.integers(6))
        if kind == 0:
            changed[at] ^= 1 << int(generator.integers(8))
        elif kind == 1:
            changed[at] = int(generator.integers(256))
        elif kind == 2:
            del changed[at : at + length]
        elif kind == 3:
            changed[at:at] = generator.bytes(length)
        elif kind == 4:
            del changed[at:]
        else:
            changed[at:at] = changed[at : at + length]
    return bytes(changed)


def damage_json(generator, value):
    """A copy of a value, with one or two of its entries changed, lost, added or exchanged."""
    value = copy.deepcopy(value)
    for _ in range(int(generator.integers(1, 3))):
        places = list(_places(value))
        if not places:
            return pick(generator, NASTY)
        holder, key = pick(generator, places)
        kind = int(generator.integers(10))
        if kind <= 1:
            holder[key] = copy.deepcopy(pick(generator, NASTY))
        elif kind <= 5:
            holder[key] = _near(generator, holder[key])
        elif kind == 6:
            del holder[key]
        elif kind == 7 and isinstance(holder, dict):
            holder[str(key) + "x"] = holder.pop(key)
        elif kind == 8:
            # Copies, since one may lie in the other.
            other, there = pick(generator, places)
            holder[key], other[there] = copy.deepcopy(other[there]), copy.deepcopy(holder[key])
        else:
            for _ in range(pick(generator, (2, 30, 300))):
                holder[key] = [holder[key]]
    return value


def damage_tensors(generator, content):
    """A safetensors file with an array changed, cast, reshaped, renamed, lost or added; its metadata are lost."""
    arrays = dict(safetensors.numpy.load(content))
    name = pick(generator, sorted(arrays))
    kind = int(generator.integers(7))
    if kind == 0:
        arrays[name] = arrays[name] + np.array(1, arrays[name].dtype)
    elif kind == 1:
        arrays[name] = arrays[name].astype(pick(generator, ("float64", "int32", "bool", "float16")))
    elif kind == 2:
        arrays[name] = arrays[name].reshape(-1)
    elif kind == 3:
        arrays[name + "x"] = arrays.pop(name)
    elif kind == 4:
        del arrays[name]
    elif kind == 5:
        arrays["more"] = np.zeros(3, "float32")
    else:
        arrays[name] = np.full_like(arrays[name].astype("float32"), np.nan)
    return safetensors.numpy.save({name: np.asarray(value, order="C") for name, value in arrays.items()})


def damage_folder(generator, folder, others):
    """Changes one thing in a folder; `others` are files that may take a file's place."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    # A page for people is no part of what is read.
    path = pick(generator, files + 5 * [file for file in files if file.suffix != ".md"])
    kind = int(generator.integers(12))
    if kind <= (1 if path.suffix == ".json" else 3):
        path.write_bytes(damage_bytes(generator, path.read_bytes()))
    elif kind <= 6 and path.suffix == ".json":
        path.write_text(json.dumps(damage_json(generator, json.loads(path.read_text())), ensure_ascii=True))
    elif kind <= 6 and path.suffix == ".safetensors":
        path.write_bytes(damage_tensors(generator, path.read_bytes()))
    elif kind == 7:
        shutil.copyfile(pick(generator, others), path)
    elif kind == 8:
        other = pick(generator, files)
        first, second = path.read_bytes(), other.read_bytes()
        path.write_bytes(second)
        other.write_bytes(first)
    elif kind == 9:
        path.unlink()
    elif kind == 10:
        path.unlink()
        path.mkdir()
    else:
        path.unlink()
        pick(generator, (os.mkfifo, lambda p: p.symlink_to(p), lambda p: p.symlink_to("/dev/zero")))(path)


def _places(value):
    """Every pair of a list or mapping and a key of it."""
    keys = range(len(value)) if isinstance(value, list) else list(value) if isinstance(value, dict) else ()
    for key in keys:
        yield value, key
        yield from _places(value[key])


def _near(generator, value):
    """A value of the same type that is not much another."""
    if isinstance(value, bool) or value is None:
        return not value
    if isinstance(value, int):
        return value + pick(generator, (-1, 1, 1000, 2**40))
    if isinstance(value, float):
        return value * pick(generator, (1 + 1e-9, 0.5, 0.9, -1.0, 1e300, 0.0))
    if isinstance(value, str):
        at = int(generator.integers(len(value) + 1))
        return value[:at] + pick(generator, "a0 .*(") + value[at + 1 :]
    return value[::-1] if isinstance(value, list) else dict(reversed(value.items()))
