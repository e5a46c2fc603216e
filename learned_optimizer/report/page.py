"""The page: one HTML file that needs no other, and in which only its own script runs."""

from __future__ import annotations

import base64
import hashlib
import html
import importlib.resources
import json
from collections.abc import Iterable, Sequence

from learned_optimizer.report.plot import Plot, element, paint, svg

# Characters that are no text; a half of a surrogate pair cannot even be written.
_NO_TEXT = {code: "\N{REPLACEMENT CHARACTER}" for code in (*range(9), 11, 12, *range(14, 32), *range(0xD800, 0xE000))}


def text(value: object) -> str:
    """A value as text of the page, whatever is in it."""
    return html.escape(str(value).translate(_NO_TEXT))


def table(rows: Iterable[Sequence[object]], header: Sequence[object] = ()) -> str:
    """A table of plain cells; without a header one of settings and their values."""
    head = f"<tr>{''.join(f'<th>{text(cell)}</th>' for cell in header)}</tr>" if header else ""
    kind = "scroll" if header else "scroll settings"
    lines = ("".join(f'<td class="value">{text(cell)}</td>' for cell in row) for row in rows)
    return f'<div class="{kind}"><table>{head}{"".join(f"<tr>{line}</tr>" for line in lines)}</table></div>'


def plots(drawn: Iterable[Plot], wide: bool = False) -> str:
    """Plots beside each other, or a wide one."""
    return f'<div class="plots{" wide" if wide else ""}">{"".join(map(_figure, drawn))}</div>'


def _figure(plot: Plot) -> str:
    data = plot.data()
    # In a script element no end of it may come, and no comment.
    encoded = json.dumps(data, separators=(",", ":"), allow_nan=False)
    for character in "<>&":
        encoded = encoded.replace(character, f"\\u{ord(character):04x}")
    legend = ""
    if len(plot.series) > 1:
        keys = (element(("path", paint(index, False) | {"d": "M0 5H24"}, "")) for index in range(len(plot.series)))
        lines = (
            f'<li><svg viewBox="0 0 24 10">{key}</svg>{text(each.name)}</li>'
            for key, each in zip(keys, plot.series, strict=True)
        )
        legend = f'<ul class="legend">{"".join(lines)}</ul>'
    note = f'<p class="note">{text(plot.note)}</p>' if plot.note else ""
    return (
        f'<figure class="plot"><figcaption>{text(plot.title)}<button hidden></button></figcaption>'
        f'{svg(data, plot.title.translate(_NO_TEXT))}<pre class="tip" hidden></pre>{legend}{note}'
        f'<script type="application/json">{encoded}</script></figure>'
    )


def page(title: str, sections: Iterable[tuple[str, str]]) -> str:
    """The whole page.

    Args:
        title: Its title, plain text.
        sections: The title of each section, plain text, and its content, HTML.
    """
    script, style = (_data(name) for name in ("report.js", "report.css"))
    # Should a text of a file ever get into the page as more than text, a browser still runs and loads nothing of it.
    policy = f"default-src 'none'; script-src '{_digest(script)}'; style-src '{_digest(style)}'"
    body = "".join(f"<section><h2>{text(heading)}</h2>{content}</section>" for heading, content in sections)
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{text(title)}</title><style>{style}</style></head>"
        f"<body><h1>{text(title)}</h1>{body}<script>{script}</script></body></html>\n"
    )


def _data(name: str) -> str:
    return importlib.resources.files(__package__).joinpath("data", name).read_text(encoding="utf-8")


def _digest(content: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}"
