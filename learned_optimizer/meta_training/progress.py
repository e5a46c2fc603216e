"""The progress bar of a meta-training: text in a terminal, a widget in a notebook."""

from __future__ import annotations

import math
import warnings


class Progress:
    """Shows the rounds done, the remaining time, the last round's loss and the best validation loss."""

    def __init__(self, total: int, initial: int, verbose: int) -> None:
        # Here rather than above: a meta-training step by step needs no tqdm.
        from tqdm import TqdmWarning

        with warnings.catch_warnings():
            # In a notebook without ipywidgets, where the bar is text as in a terminal.
            warnings.simplefilter("ignore", TqdmWarning)
            from tqdm.auto import tqdm

        self._bar = tqdm(total=total, initial=initial, unit="round", disable=not verbose, dynamic_ncols=True)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.close()

    def update(self, loss: float, best: float) -> None:
        """Counts one round."""
        self._bar.set_postfix_str(f"loss {loss:.4g}" + (f", best {best:.4g}" if math.isfinite(best) else ""), False)
        self._bar.update()
