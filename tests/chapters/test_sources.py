"""Source that chapters show is that which runs, without its docstrings."""

import ast
import inspect
import textwrap

import pytest

from bumplab.chapters.sources import source_code
from bumplab.common.errors import BumplabError
from bumplab.diffusion import Diffusion
from bumplab.models.layers import Attention, Block


@pytest.mark.parametrize("shown", [Diffusion.loss, Diffusion.step, Block, Attention])
def test_the_code_is_that_which_runs_without_docstrings(shown):
    def bare(tree):
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node) is not None:
                node.body = node.body[1:]
        return ast.dump(tree)

    text = source_code(shown).text
    assert '"""' not in text and ">>>" not in text
    assert bare(ast.parse(text)) == bare(ast.parse(textwrap.dedent(inspect.getsource(shown))))


def test_several_stand_below_each_other_and_are_coloured():
    both = source_code(Diffusion.add_noise, Diffusion.loss)
    assert both.text.index("def add_noise") < both.text.index("def loss") and repr(both) == both.text
    bundle = both._repr_mimebundle_()
    assert bundle["text/plain"] == both.text and 'class="highlight"' in bundle["text/html"]


def test_what_has_no_source_is_said():
    with pytest.raises(BumplabError, match="no Python source of <built-in function len>"):
        source_code(len)


def test_a_body_that_is_only_a_docstring_stays_python():
    class Empty:
        """Nothing else."""

    async def wait():
        """Wait."""
        return 1

    assert ast.parse(source_code(Empty).text) and '"""Nothing else."""' in source_code(Empty).text
    assert source_code(wait).text == "async def wait():\n    return 1"
