"""What is damaged, how it is read, and what it means: each target makes a mutant, and reads it.

A mutant that states its own digests anew is forged, and may mean something else: it may only not break the reader.
"""

import json
import shutil
import zipfile

import keras
import numpy as np
import safetensors
import safetensors.numpy
from mutations import damage_bytes, damage_folder, damage_json, damage_tensors, pick

from learned_optimizer import CoordinatewiseLSTM, LearnedOptimizer, Preset, presets
from learned_optimizer.meta_training.checkpoint import to_bytes
from learned_optimizer.meta_training.configuration import from_names
from learned_optimizer.meta_training.run import CHECKPOINT, Run
from learned_optimizer.meta_training.run_files import CONFIG as RUN_CONFIG
from learned_optimizer.meta_training.state import restore
from learned_optimizer.meta_training.validation import MONITORS
from learned_optimizer.presets.digest import digest_of
from learned_optimizer.presets.preset import CONFIG
from learned_optimizer.presets.written import read_config, read_folder


def small(seed, sizes=(2,)):
    rule = CoordinatewiseLSTM(sizes)
    return Preset(rule, rule.initial_weights(seed), {"description": "small", "results": {"a": "b"}})


def grouped():
    base = small(0)
    return Preset(base.rule, base.weights, base.card, [(2, small(1)), ("bias$", small(2))])


def of_preset(preset):
    return preset.digest


class Folder:
    """A preset's folder."""

    def __init__(self, preset, work):
        self.work = work / "preset"
        preset.save(self.work / "whole")
        small(9, (3, 2)).save(self.work / "other")
        self.others = sorted(path for path in (self.work / "other").iterdir() if path.is_file())
        self.meaning = of_preset(Preset.load(self.work / "whole"))

    def mutant(self, generator, forged):
        folder = self.work / "mutant"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.work / "whole", folder)
        if not forged:
            damage_folder(generator, folder, self.others)
            return folder
        path = pick(generator, sorted(folder.rglob("*.json")))
        config = damage_json(generator, json.loads(path.read_text()))
        path.write_text(json.dumps(config))
        for each in (path.parent, folder):
            forge(each)
        return folder

    def read(self, folder):
        return of_preset(Preset.load(folder))


def forge(folder):
    """States the digest that a preset has now, if one can be made of it."""
    try:
        config = json.loads((folder / CONFIG).read_text())
        config["digest"] = read_folder(folder).digest
        (folder / CONFIG).write_text(json.dumps(config))
    except Exception:
        return


class Configuration:
    """The configuration of an optimizer."""

    def __init__(self, work):
        del work
        groups = [(2, small(1)), ("bias$", keras.optimizers.Adam(0.01))]
        optimizer = LearnedOptimizer(small(0), groups=groups)
        optimizer.build([keras.Variable(np.ones(shape), name=name) for shape, name in (((2, 3), "k"), ((3,), "bias"))])
        self.config = json.loads(json.dumps(optimizer.get_config()))
        self.meaning = self.read(self.config)

    def mutant(self, generator, forged):
        config = damage_json(generator, self.config)
        return forged_config(config) if forged and isinstance(config, dict) else config

    def read(self, config):
        optimizer = LearnedOptimizer.from_config(config)
        described = optimizer.get_config()
        return json.dumps([described["rule"]["digest"], described["groups"]], sort_keys=True)


def forged_config(config):
    try:
        config["rule"]["digest"] = read_config(config["rule"]).digest
        config["digest"] = digest_of([config["rule"]["digest"], config["groups"]])
    except Exception:
        pass
    return config


class KerasFile(Configuration):
    """A saved model, whose optimizer is damaged."""

    def __init__(self, work):
        self.path = work / "model.keras"
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
        model.compile(optimizer=LearnedOptimizer(small(0), groups=[("bias", small(1))]), loss="mse")
        model.optimizer.build(model.trainable_variables)
        model.save(self.path)
        with zipfile.ZipFile(self.path) as file:
            self.files = {name: file.read(name) for name in file.namelist()}
        self.meaning = self.read(self.path)

    def mutant(self, generator, forged):
        whole = json.loads(self.files["config.json"])
        serialized = whole["compile_config"]["optimizer"]
        serialized["config"] = damage_json(generator, serialized["config"])
        if forged and isinstance(serialized["config"], dict):
            forged_config(serialized["config"])
        path = self.path.with_name("mutant.keras")
        with zipfile.ZipFile(path, "w") as file:
            for name, content in (self.files | {"config.json": json.dumps(whole)}).items():
                file.writestr(name, content)
        return path

    def read(self, path):
        described = keras.models.load_model(path).optimizer.get_config()
        return json.dumps([described["rule"]["digest"], described["groups"]], sort_keys=True)


class Checkpoint:
    """A checkpoint, read and taken over by a trainer."""

    def __init__(self, work, trainer):
        self.trainer, self.run = trainer, Run(work / "checkpoint")
        trainer._save(self.run)
        self.path = self.run.directory / CHECKPOINT
        self.content = self.path.read_bytes()
        self.meaning = self.read(self.path)

    def mutant(self, generator, forged):
        if forged:
            with safetensors.safe_open(self.path, framework="np") as file:
                state = json.loads(file.metadata()["state"])
            arrays = safetensors.numpy.load(self.content)
            if generator.integers(2):
                state = damage_json(generator, state)
            else:
                arrays = safetensors.numpy.load(damage_tensors(generator, self.content))
            content = to_bytes(arrays, state)
        else:
            content = pick(generator, (damage_bytes, damage_tensors))(generator, self.content)
        folder = self.path.parent.with_name("mutant")
        folder.mkdir(exist_ok=True)
        (folder / CHECKPOINT).write_bytes(content)
        return folder / CHECKPOINT

    def read(self, path):
        # The numbers of the trainer are the same before and after.
        arrays, state = Run(path.parent, resume=True).load_checkpoint()
        trainer = self.trainer
        restore(arrays, state, trainer._initial, trainer._phi, trainer.estimator, {"stage": 0})
        return json.dumps([{n: v.tobytes().hex() for n, v in sorted(arrays.items())}, state], sort_keys=True)


class RunDirectory:
    """A run's directory, resumed by the command; nothing is trained."""

    def __init__(self, work, resume):
        self.work, self.resume = work, resume
        trainer = from_names("quadratic").trainer(epochs=2, rounds_per_epoch=1)
        flags = {"problem": "quadratic", "epochs": 2, "rounds_per_epoch": 1, "seed": 0, "episode_length": ["100"]}
        flags |= {"rule": None, "run_dir": "elsewhere"}
        trainer.state.rounds = 1
        trainer.state.history.append({"epoch": 1} | dict.fromkeys(MONITORS, 0.5))
        run = Run(work / "whole", entries={"flags": flags, "config": None})
        run.begin(trainer.get_config() | {"fit": {"epochs": 2, "rounds_per_epoch": 1}})
        trainer._save(run)
        small(9).save(work / "other")
        self.others = sorted(path for path in (work / "other").iterdir())
        self.meaning = self.read(self.mutant(None, True))

    def mutant(self, generator, forged):
        folder = self.work / "mutant"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.work / "whole", folder)
        if generator and not forged:
            damage_folder(generator, folder, self.others)
        elif generator:
            config = damage_json(generator, json.loads((folder / RUN_CONFIG).read_text()))
            if isinstance(config, dict):
                config["sha256"] = digest_of({name: value for name, value in config.items() if name != "sha256"})
            (folder / RUN_CONFIG).write_text(json.dumps(config))
        return folder

    def read(self, folder):
        before = content(folder)
        try:
            trainer = self.resume(folder)
        except Exception:
            assert content(folder) == before
            raise
        return json.dumps([{n: v.tolist() for n, v in trainer.weights.items()}, trainer.history], sort_keys=True)


def content(folder):
    """The bytes of every file that is one."""
    return {path: path.read_bytes() if path.is_file() else None for path in sorted(folder.rglob("*"))}


def every(work, trainer, resume):
    """The targets by name."""
    return {
        "a preset": Folder(small(0), work / "1"),
        "a preset with groups": Folder(grouped(), work / "2"),
        "a preset in closed form": Folder(presets.load("general"), work / "3"),
        "a configuration": Configuration(work / "4"),
        "a checkpoint": Checkpoint(work / "5", trainer),
        "a run": RunDirectory(work / "6", resume),
        "a model": KerasFile(work),
    }
