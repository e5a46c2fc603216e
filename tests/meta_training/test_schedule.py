import numpy as np
import pytest

from learned_optimizer.meta_training import cosine, cosine_adam

pytestmark = pytest.mark.every_backend


def test_the_cosine_schedule_falls_to_three_percent():
    schedule = cosine(0.1, 100)
    np.testing.assert_allclose([schedule(step) for step in (0, 50, 100, 200)], [0.1, 0.0515, 0.003, 0.003], rtol=1e-5)


def test_adam_on_a_cosine_waits_for_the_number_of_meta_steps():
    config = cosine_adam(0.1, use_ema=True)(100).get_config()
    assert config["learning_rate"]["config"] == cosine(0.1, 100).get_config()
    assert config["global_clipnorm"] == 1 and config["use_ema"]
    assert cosine_adam(0.1, global_clipnorm=None)(100).global_clipnorm is None
