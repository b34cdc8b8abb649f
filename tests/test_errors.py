"""Errors: their problem, their advice for each audience, and their way through Spark as text."""

from __future__ import annotations

import pickle
import traceback

import pytest

from tf2spark import errors
from tf2spark.errors import (
    OTHER_MODES,
    Advice,
    Audience,
    ContractError,
    Mistakes,
    ModelError,
    RowError,
    RowsDependWarning,
    Tf2SparkError,
    addressed_to,
    argument,
    first_line,
    from_spark,
    from_text,
    shortened,
)

AUDIENCES: tuple[Audience, ...] = ("python", "command_line", "pandas", "arrow")
CLASSES = sorted(
    (value for value in vars(errors).values() if isinstance(value, type)
     and issubclass(value, Tf2SparkError)),
    key=lambda error_class: error_class.__name__,
)  # fmt: skip
CAST = Advice("PYTHON", "OPTIONS", "PANDAS", "ARROW")


@pytest.mark.parametrize("error_class", CLASSES)
def test_every_error_has_problem_and_advice(error_class: type[Tf2SparkError]) -> None:
    """Whatever builtin a class also is: the text has both, and `problem` and `advice` each."""
    error = error_class("it is wrong", "try " + CAST)
    assert str(error) == "it is wrong; try PYTHON"
    assert (error.problem, error.advice_for("pandas")) == ("it is wrong", "try PANDAS")
    assert str(error_class("it is wrong")) == "it is wrong"


@pytest.mark.parametrize("error_class", CLASSES)
def test_errors_are_pickled_whole(error_class: type[Tf2SparkError]) -> None:
    """An error that crosses a process keeps its advice and its audience."""
    error = error_class("it is wrong", CAST)
    error.audience = "arrow"
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is error_class
    assert (str(copy), copy.text_for("command_line")) == (
        "it is wrong; ARROW",
        "it is wrong; OPTIONS",
    )


@pytest.mark.parametrize(
    ("name", "value", "python", "command_line"),
    [
        ("mode", "permissive", 'mode="permissive"', "--mode permissive"),
        ("signature", "two words", 'signature="two words"', "--signature 'two words'"),
        ("batch_rows", 4, "batch_rows=4", "--batch-rows 4"),
        ("user_id", ..., "user_id=...", "--user-id ..."),
        ("overwrite", True, "overwrite=True", "--overwrite"),
    ],
)
def test_arguments_are_options_on_the_command_line(
    name: str, value: str, python: str, command_line: str
) -> None:
    """The same argument in both forms; pandas and pyarrow users write Python."""
    advice = argument(name, value)
    assert [advice.text_for(audience) for audience in AUDIENCES] == [
        python, command_line, python, python,
    ]  # fmt: skip


def test_advice_is_joined_for_each_audience() -> None:
    """Text around advice, and advice after advice, is the same text for all."""
    advice = "first " + CAST + ", then " + argument("k", 1)
    assert [advice.text_for(audience) for audience in AUDIENCES] == [
        "first PYTHON, then k=1",
        "first OPTIONS, then --k 1",
        "first PANDAS, then k=1",
        "first ARROW, then k=1",
    ]


@pytest.mark.parametrize("audience", AUDIENCES)
def test_errors_of_a_block_are_addressed(audience: Audience) -> None:
    """An error that leaves the block speaks to the audience; the innermost isn't the last word."""
    with pytest.raises(ContractError) as caught, addressed_to(audience), addressed_to("python"):
        raise ContractError("wrong", CAST)
    assert str(caught.value) == f"wrong; {CAST.text_for(audience)}"


def test_warnings_show_names_as_text() -> None:
    """As errors do: a path or an op's name is part of one line."""
    assert str(RowsDependWarning("of a\x1b[2J\nb")) == r"of a\x1b[2J\nb"


def test_nobody_needs_no_advice() -> None:
    """Where advice would be of no use, the problem stands alone."""
    with pytest.raises(RowError) as caught, addressed_to(None):
        raise RowError("row 1 can't be scored", OTHER_MODES)
    assert str(caught.value) == "row 1 can't be scored"


def mistakes_of(*errors: Tf2SparkError) -> Mistakes:
    mistakes = Mistakes()
    for error in errors:
        with mistakes.collected():
            raise error
    return mistakes


def test_mistakes_come_at_once() -> None:
    """One error lists them in their order, each with its advice for the audience."""
    inner = mistakes_of(ContractError("b is wrong", CAST), ContractError("c is wrong"))
    with pytest.raises(ContractError) as nested:
        inner.raise_all()
    mistakes = mistakes_of(ContractError("a is wrong", CAST), nested.value)
    with pytest.raises(ContractError) as caught, addressed_to("arrow"):
        mistakes.raise_all()
    lines = ["3 mistakes:", "a is wrong; ARROW", "b is wrong; ARROW", "c is wrong"]
    assert str(caught.value) == "\n- ".join(lines)
    assert caught.value.problem == "a is wrong\nb is wrong\nc is wrong"
    copy = pickle.loads(pickle.dumps(caught.value))
    assert copy.text_for("python").endswith("\n- b is wrong; PYTHON\n- c is wrong")


def test_a_single_mistake_stays_as_it_was_raised() -> None:
    """Nothing is listed, and where nothing was wrong nothing is raised."""
    error = ContractError("a is wrong", CAST)
    with pytest.raises(ContractError) as caught:
        mistakes_of(error).raise_all()
    assert caught.value is error
    Mistakes().raise_all()


def test_only_mistakes_of_the_call_are_collected() -> None:
    """A model that can't be read ends the call at once."""
    with pytest.raises(ModelError):
        mistakes_of(ModelError("no model"))


def test_mistakes_without_advice() -> None:
    """Where advice would be of no use, no line has any."""
    with pytest.raises(ContractError) as caught, addressed_to(None):
        mistakes_of(ContractError("a", CAST), ContractError("b", CAST)).raise_all()
    assert str(caught.value) == "2 mistakes:\n- a\n- b"


def test_mistakes_of_a_worker_become_the_error_again() -> None:
    """A column function is bound on the worker, and Spark passes on its text."""
    try:
        mistakes_of(ContractError("a", CAST), ContractError("b")).raise_all()
    except Tf2SparkError as error:
        text = "Job aborted\n" + "".join(traceback.format_exception(error))
    found = from_text(text + "\n\tat org.apache.spark.api.python(Runner.scala:1)")
    assert str(found) == "2 mistakes:\n- a; PYTHON\n- b"


@pytest.mark.parametrize("error_class", [each for each in CLASSES if each is not Tf2SparkError])
def test_text_of_a_worker_becomes_the_error_again(error_class: type[Tf2SparkError]) -> None:
    """The last line of a worker's traceback has class, problem and the words of its audience."""
    try:
        with addressed_to("command_line"):
            raise error_class("row 3 is null", CAST)
    except Tf2SparkError as error:
        text = "Job aborted\n" + "".join(traceback.format_exception(error))
    found = from_text(text + "\n\tat org.apache.spark.api.python(Runner.scala:1)")
    assert type(found) is error_class
    assert str(found) == "row 3 is null; OPTIONS"


def test_what_spark_says_after_the_error_is_no_part_of_it() -> None:
    """A streaming query's exception goes on with a state, the query and its plan."""
    text = "Traceback\ntf2spark.errors.RowError: row 3 is null; leave it out\n SQLSTATE: 38000\n"
    found = from_text(text + "=== Streaming Query ===\nIdentifier: q [id = 1]\n\nLogical Plan:\n")
    assert str(found) == "row 3 is null; leave it out"


@pytest.mark.parametrize("text", ["", "ValueError: x", "tf2spark.errors.NoSuchError: x"])
def test_other_text_is_no_error_of_ours(text: str) -> None:
    """What isn't one of our classes isn't guessed at."""
    assert from_text(text) is None


@pytest.mark.parametrize(
    ("value", "limit", "text"),
    [
        ("abc", 60, "'abc'"),
        ("x" * 58, 60, "'" + "x" * 58 + "'"),
        ("x" * 59, 60, "'" + "x" * 56 + "..."),
        ([1.0] * 99, 20, "[1.0, 1.0, 1.0, 1..."),
    ],
)
def test_shortened_is_the_repr_up_to_the_limit(value: object, limit: int, text: str) -> None:
    """A repr that fits is left alone; a longer one ends in dots and is exactly as long."""
    assert shortened(value, limit) == text
    assert len(text) <= limit


@pytest.mark.parametrize(
    ("message", "line"),
    [
        ("one", "one"),
        ("\n\n  first  \nsecond", "first"),
        ("a\r\nb", "a"),
        ("", "no message"),
        (" \n ", "no message"),
    ],
)
def test_first_line_is_the_first_with_text(message: str, line: str) -> None:
    """Blank lines are skipped, and an error without a message says so."""
    assert first_line(ValueError(message)) == line


def test_what_spark_raises_becomes_the_error_of_the_worker() -> None:
    """Spark's exception stays its context, and its traceback isn't printed."""
    spark_error = ValueError(
        "An exception was thrown from the Python worker.\nTraceback (most recent call last):\n"
        '  File "x.py", line 1, in f\ntf2spark.errors.RowError: row 1 is wrong\n\n\tat org.x.Y(Z)'
    )
    with pytest.raises(RowError, match=r"^row 1 is wrong$") as raised, from_spark():
        raise spark_error
    assert raised.value.__context__ is spark_error
    assert "ValueError" not in "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize("error", [KeyError("x"), ContractError("no"), KeyboardInterrupt()])
def test_other_errors_pass_as_they_are(error: BaseException) -> None:
    """Of Spark, of Python, or one of ours already."""
    with pytest.raises(type(error)) as raised, from_spark():
        raise error
    assert raised.value is error
