"""Batches whose episodes stand at different steps.

Were all episodes of a batch at the same step, each meta-gradient would be that of one stretch of an episode, and φ
would be drawn to what is good early, then to what is good late, and back, in every round. Staggered episodes give each
meta-step a share of all stretches.
"""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from learned_optimizer.meta_training.unroll import Carry


class Stagger:
    """When the groups of a batch of episodes begin anew.

    Args:
        episodes: In a batch. They are parted into as many equal groups as there can be.
        num_unrolls: Unrolls in an episode; there are no more groups than these.
        staggered: Whether there are groups at all, or all episodes begin together.
    """

    def __init__(self, episodes: int, num_unrolls: int, staggered: bool = True) -> None:
        self.num_unrolls = num_unrolls
        most = min(episodes, num_unrolls) if staggered else 1
        self.groups = max(g for g in range(1, most + 1) if episodes % g == 0)
        self.group_size = episodes // self.groups

    def begins(self, group: int, meta_step: int) -> bool:
        """Whether a group begins new episodes at a meta-step, counted from 0; all do at first."""
        offset = group * self.num_unrolls // self.groups
        return meta_step == 0 or (meta_step + offset) % self.num_unrolls == 0


def join(carries: Sequence[Carry]) -> Carry:
    """The episodes of several carries as one batch."""
    if len(carries) == 1:
        return carries[0]
    joined = tf.nest.map_structure(
        lambda *parts: tf.concat(parts, axis=0), *(c._replace(rule_state=()) for c in carries)
    )
    state = tf.nest.map_structure(lambda *parts: tf.concat(parts, axis=1), *(c.rule_state for c in carries))
    return joined._replace(rule_state=state)


def part(carry: Carry, groups: int) -> list[Carry]:
    """A batch as carries of equally many episodes: the reverse of `join`."""
    if groups == 1:
        return [carry]
    others, state = carry._replace(rule_state=()), carry.rule_state
    return [
        tf.nest.map_structure(lambda x, g=group: tf.split(x, groups, axis=0)[g], others)._replace(
            rule_state=tf.nest.map_structure(lambda x, g=group: tf.split(x, groups, axis=1)[g], state)
        )
        for group in range(groups)
    ]
