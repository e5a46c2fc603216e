"""`general` with each tensor in its own unit, in place of a random one."""

from experiments.configs._general import EPISODE_LENGTH, EPISODES, EPOCHS, ROUNDS_PER_EPOCH, constants, families

episode_length = EPISODE_LENGTH
episodes = EPISODES
epochs = EPOCHS
rounds_per_epoch = ROUNDS_PER_EPOCH


def config(seed: int = 0) -> dict:
    return constants(families(scaled=False), seed)
