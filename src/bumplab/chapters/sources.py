"""Lines of the package, shown in a chapter: read when the chapter runs, so that they are those which run."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from bumplab.common.errors import BumplabError, quote


@dataclass(frozen=True)
class SourceCode:
    """Python code, coloured where a page can.

    Examples
    --------
    >>> SourceCode("a = 1")
    a = 1
    """

    text: str

    def __repr__(self) -> str:
        return self.text

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        coloured = highlight(self.text, PythonLexer(), HtmlFormatter())
        return {"text/plain": self.text, "text/html": f'<div class="source-code">{coloured}</div>'}


def source_code(*objects: Callable) -> SourceCode:
    """Return the source of functions, methods or classes, without docstrings; what is nothing else keeps its own.

    Parameters
    ----------
    *objects : callable
        Written in Python.

    Returns
    -------
    SourceCode

    Raises
    ------
    BumplabError
        If one has no source in Python.

    Examples
    --------
    >>> from bumplab.diffusion import Diffusion
    >>> source_code(Diffusion.add_noise)
    def add_noise(self, x0: torch.Tensor, eps: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        signal, noise = self.signal_and_noise_scale(t)
        return signal * x0 + noise * eps
    """
    return SourceCode("\n\n".join(_without_docstring(each) for each in objects))


def _without_docstring(function: Callable) -> str:
    try:
        lines = textwrap.dedent(inspect.getsource(function)).rstrip().splitlines()
    except (OSError, TypeError):
        raise BumplabError(f"There is no Python source of {quote(function)} to show.") from None
    for node in ast.walk(ast.parse("\n".join(lines))):
        documented = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        if documented and ast.get_docstring(node) is not None and len(node.body) > 1:
            first, last = node.body[0].lineno - 1, node.body[0].end_lineno or 0
            if last < len(lines) and not lines[last].strip():
                last += 1  # the empty line after it
            lines[first:last] = [None] * (last - first)  # pyright: ignore[reportArgumentType, reportCallIssue]
    return "\n".join(line for line in lines if line is not None)
