"""Whatever is given for a parameter of a chapter is checked, or refused in one sentence, before anything runs."""

import edges
from hypothesis import given, settings, strategies as st

from bumplab.chapters.catalogue import chapter_names, chapter_path, declared_parameters, validate

PARAMETERS = [(name, each) for name in chapter_names() for each in [*declared_parameters(chapter_path(name)), "nope"]]


@given(st.sampled_from(PARAMETERS), st.one_of(edges.TEXTS, edges.VALUES))
@settings(deadline=10_000, max_examples=60)
def test_any_value_of_any_parameter_is_taken_or_refused_in_one_sentence(parameter, value):
    chapter, name = parameter
    with edges.one_sentence():
        assert list(validate(chapter_path(chapter), {name: value})) == [name]
