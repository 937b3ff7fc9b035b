"""Formulas become MathML while the site is built: browsers draw it without a script or a font of ours."""

import html
import logging
import re
from typing import Any

from latex2mathml.converter import convert

log = logging.getLogger("mkdocs.hooks.formulas")

# letters that are upright as one word need room behind them, where no bracket follows
WORD = re.compile(r"(<mi>(?:ln|log|exp|sin|cos|tan|sinh|cosh|tanh)</mi>)(?=<m[inrsfu])")
# of an absolute value: not a relation, which would stand apart
BAR = "<mo>&#x0007C;</mo>"
# characters of LaTeX above which a formula in a line may be wider than a telephone
LONG = 40
FORMULA = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', re.DOTALL)


def on_page_content(content: str, page: Any, **_: Any) -> str:
    """Convert what arithmatex marked; an unknown command of LaTeX is a warning, which ends a strict build."""

    def formula(found: re.Match[str]) -> str:
        tag, kind, latex = found.groups()
        block = kind == "["
        text = html.unescape(latex).strip().replace("{aligned}", "{align*}")
        mathml = WORD.sub(r'\1<mspace width="0.17em" />', convert(text, display="block" if block else "inline"))
        mathml = mathml.replace(BAR, f'<mo stretchy="false" lspace="0" rspace="0">{BAR[4:]}')
        if unknown := re.findall(r"\\[A-Za-z]+|<mi>&</mi>", mathml):
            log.warning(f"{page.file.src_uri}: formula with unknown {', '.join(unknown)}: {text}")
        if block:
            return f'<{tag} class="formula">{mathml}</{tag}>'
        return f'<{tag} class="long formula">{mathml}</{tag}>' if len(text) > LONG else mathml

    return FORMULA.sub(formula, content)
