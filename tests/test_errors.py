"""The exact text of error messages, their pages, and that they survive a trip between processes."""

import pickle

import pytest

from symgrad import errors
from symgrad.errors import (
    BadOption,
    ShapeMismatch,
    SymgradError,
    error_classes,
    error_page,
    format_error,
    quoted,
)

CLASSES = list(error_classes().values())


def example() -> ShapeMismatch:
    return ShapeMismatch(
        "cannot add shapes (n, 32) and (16,)",
        where="loss -> tanh -> add",
        because="the last axis is 32 on the left and 16 on the right",
        try_="give b1 the shape (32,)",
    )


def test_a_message_has_its_four_parts_in_order_after_the_name_of_the_class():
    assert format_error(example()) == (
        "ShapeMismatch: cannot add shapes (n, 32) and (16,)\n"
        "  where    loss -> tanh -> add\n"
        "  because  the last axis is 32 on the left and 16 on the right\n"
        "  try      give b1 the shape (32,)"
    )


def test_str_leaves_the_name_of_the_class_to_the_traceback():
    assert format_error(example()) == "ShapeMismatch: " + str(example())


def test_empty_parts_are_left_out():
    assert str(SymgradError("it is wrong")) == "it is wrong"
    assert str(SymgradError("it is wrong", try_="another way")) == "it is wrong\n  try      another way"


def test_the_second_line_of_a_part_is_indented_under_its_first():
    assert str(SymgradError("wrong", because="one\ntwo")) == "wrong\n  because  one\n           two"


@pytest.mark.parametrize("kind", CLASSES)
def test_every_error_survives_pickling_with_all_its_parts(kind):
    error = kind("what", where="here", because="of this", try_="that")
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is kind
    assert format_error(copy) == format_error(error)


@pytest.mark.parametrize("kind", CLASSES)
def test_every_error_is_a_symgrad_error_with_a_page_that_says_more_than_one_line(kind):
    assert issubclass(kind, SymgradError)
    page = error_page(kind.__name__)
    title, underline, *body = page.splitlines()
    assert title == kind.__name__
    assert underline == "=" * len(title)
    assert len([line for line in body if line]) >= 3


def test_only_classes_of_this_module_are_error_classes():
    assert next(iter(error_classes())) == "SymgradError"
    assert {kind.__module__ for kind in CLASSES} == {errors.__name__}


def test_errors_are_also_the_built_in_class_a_caller_would_look_for():
    with pytest.raises(ValueError, match="cannot add shapes"):
        raise example()


def test_the_page_of_an_unknown_class_is_refused_with_the_list_of_classes():
    with pytest.raises(BadOption) as caught:
        error_page("ShapeMistake")
    assert caught.value.summary == "there is no error class called 'ShapeMistake'"
    assert caught.value.try_ == "one of " + ", ".join(error_classes())


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("x", "'x'"),
        ("two\nlines", r"'two\nlines'"),
        ("\x1b[31m", r"'\x1b[31m'"),
        ("μ", "'μ'"),
        ("it's", '"it\'s"'),
    ],
)
def test_names_in_messages_are_quoted_on_one_line(name, shown):
    assert quoted(name) == shown
