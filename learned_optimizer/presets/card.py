"""The card of a preset as a page for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from learned_optimizer.rules.base import Rule

# Told apart from the figures of the making, which are listed as they are.
DESCRIPTION, NOTES, RESULTS = "description", "notes", "results"


def page(rule: Rule, card: Mapping[str, Any], fingerprint: str) -> str:
    """The card in Markdown: what φ was meta-trained on and how, and what evaluations gave."""
    arguments = ", ".join(f"{name}={value!r}" for name, value in rule.get_config().items())
    lines = [f"# {card.get(DESCRIPTION, 'A learned optimizer')}", "", f"`{type(rule).__name__}({arguments})`", ""]
    if card.get(NOTES):
        lines += [str(card[NOTES]), ""]
    lines += ["## How it was made", ""]
    for name, value in card.items():
        if name not in (DESCRIPTION, NOTES, RESULTS) and value is not None:
            lines.append(f"- {name.replace('_', ' ')}: `{value}`")
    lines += [f"- SHA-256 of φ: `{fingerprint}`", ""]
    results: Mapping[str, str] = card.get(RESULTS, {})
    if results:
        lines += ["## Results", "", "Final loss: the mean of the last 10 steps. ± and [ ]: 95 % intervals.", ""]
    for command, table in results.items():
        lines += [f"`{command}`", "", table, ""]
    return "\n".join(lines)
