"""`general` learned on every second family."""

from experiments.configs._general import EPISODE_LENGTH, EPISODES, EPOCHS, ROUNDS_PER_EPOCH, constants, families

episode_length = EPISODE_LENGTH
episodes = EPISODES
epochs = EPOCHS
rounds_per_epoch = ROUNDS_PER_EPOCH


def config(seed: int = 0) -> dict:
    return constants(families()[::2], seed)
