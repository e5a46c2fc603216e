"""The commands: they parse flags, build, and call."""

import os

# Before TensorFlow is imported: its start-up notes are of no use to whoever trains an optimizer.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
