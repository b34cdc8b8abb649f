"""`shown_text`: names and messages on one line, without invisible characters and secrets."""

from __future__ import annotations

import pickle
import time

import pytest

from tf2spark import shown_text
from tf2spark.errors import ContractError, OutputError, RunError, from_text
from tf2spark.shown_text import Lines, escape, hide_secrets, redact, shown

HIDDEN_CHARACTERS = {
    "escape": "\x1b[2J",
    "bell": "\x07",
    "backspace": "\b",
    "line break": "\n",
    "carriage return": "\r",
    "tab": "\t",
    "vertical tab": "\v",
    "delete": "\x7f",
    "C1 sequence": "\x9b2J",
    "C1 string": "\x90",
    "C1 line break": "\x85",
    "line separator": "\u2028",
    "paragraph separator": "\u2029",
    "override": "\u202e",
    "isolate": "\u2066",
    "mark": "\u200f",
    "arabic mark": "\u061c",
    "zero width space": "\u200b",
    "zero width joiner": "\u200d",
    "word joiner": "\u2060",
    "byte order mark": "\ufeff",
    "soft hyphen": "\u00ad",
    "tag": "\U000e0041",
    "variation selector": "\ufe0f",
    "second variation selector": "\U000e0100",
    "hangul filler": "\u3164",
    "grapheme joiner": "\u034f",
    "no-break space": "\u00a0",
    "lone surrogate": "\udc80",
}


@pytest.mark.parametrize("text", HIDDEN_CHARACTERS.values(), ids=HIDDEN_CHARACTERS)
def test_what_does_not_show_is_written_as_an_escape(text: str) -> None:
    """Nothing that a terminal acts on is left; the rest of the name stays readable."""
    safe = shown(f"a{text}b")
    assert safe.isprintable()
    assert safe.startswith("a\\")
    assert safe.endswith("b")
    assert text[0] not in safe
    safe.encode()


@pytest.mark.parametrize(
    "text", ["plain", "größe", "価格 (円)", "имя", "a\\nb", "[b]x[/b] <i>", "😀"]
)
def test_what_shows_stays_as_it_is(text: str) -> None:
    """Letters of any script, symbols, markup and backslashes are text."""
    assert shown(text) == text


def test_safe_text_stays_as_it_is() -> None:
    """A message that quotes another doesn't escape it twice."""
    once = shown("a\x1b[2J s3a://u:p@b")
    assert shown(once) == once


def test_only_our_own_line_breaks_make_lines() -> None:
    """A line break in a name doesn't forge a line; those between `Lines` stay."""
    assert Lines.of(["first", "name\nError: all is well"]) == "first\nname\\nError: all is well"
    error = ContractError(Lines.of(["a", "b"]), "c\nd")
    assert str(error) == "a\nb\nc\\nd"
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_an_error_shows_names_as_text() -> None:
    """The problem and the advice of an error are safe, and so are its arguments."""
    error = OutputError("column a\x1b[2J\nx", "write b\u202e")
    assert str(error) == "column a\\x1b[2J\\nx; write b\\u202e"
    assert error.args == ("column a\\x1b[2J\\nx",)


def test_an_error_of_a_worker_is_safe_when_shown_again() -> None:
    """Of the text that comes back through Spark, the lines stay, and what is in them is escaped."""
    error = from_text("Job aborted\ntf2spark.errors.RunError: one\n  two\x1b[2J\r\u202e")
    assert isinstance(error, RunError)
    assert str(error) == "one\n  two\\x1b[2J\\r\\u202e"


URLS = {
    "s3a://user:SECRET@bucket/a": "s3a://***@bucket/a",
    "S3A://USER:SECRET@bucket/a": "S3A://***@bucket/a",
    "s3a://user:SE@CRET@bucket/a": "s3a://***@bucket/a",
    "s3a://user:SE:CRET@bucket/a": "s3a://***@bucket/a",
    "s3a://user:SE%40CRET@bucket/a": "s3a://***@bucket/a",
    "s3a://user:SE/CR+ET@bucket/a": "s3a://***@bucket/a",
    "s3a://user:SE#CR?ET@bucket/a": "s3a://***@bucket/a",
    "s3a://user:12/SECRET@bucket/a": "s3a://***@bucket/a",
    "s3a:/user:SECRET@bucket/a": "s3a:/***@bucket/a",
    "http://user:SECRET@host:80/a": "http://***@host:80/a",
    "jdbc:mysql://user:SECRET@host:3306/db": "jdbc:mysql://***@host:3306/db",
    "jdbc:mysql://host/db?user=u&password=SECRET": "jdbc:mysql://host/db?user=u&password=***",
    "jdbc:sqlserver://h;user=u;password=SECRET;x=1": "jdbc:sqlserver://h;user=u;password=***;x=1",
    "jdbc:oracle:thin:u/SECRET@//h:1521/x": "jdbc:oracle:thin:***@//h:1521/x",
    "hdfs://me@node:8020/a": "hdfs://***@node:8020/a",
    "hdfs://a/b,s3a://u:SECRET@c/d": "hdfs://a/b,s3a://***@c/d",
    "abfss://u:SECRET@account/a": "abfss://***@account/a",
    "https://h/a?sv=1&sig=SECRET%3D&se=2": "https://h/a?sv=1&sig=***&se=2",
    "https://h/a?X-Amz-Signature=SECRET": "https://h/a?X-Amz-Signature=***",
    "https://h/a?X-Amz-Credential=SECRET/x&b=1": "https://h/a?X-Amz-Credential=***&b=1",
    "https://h/a?X-Amz-Security-Token=SECRET": "https://h/a?X-Amz-Security-Token=***",
    "https://h/a?token=SECRET#x": "https://h/a?token=***#x",
    "https://h/a?access_token=SECRET": "https://h/a?access_token=***",
    "https://h/a?OSSAccessKeyId=SECRET&Signature=SECRET": (
        "https://h/a?OSSAccessKeyId=***&Signature=***"
    ),
}


@pytest.mark.parametrize("url", URLS)
def test_user_and_password_of_a_url_are_hidden(url: str) -> None:
    """However the password is written; the rest of the URL stays, alone and amid a message."""
    assert redact(url) == URLS[url]
    message = f'java.io.IOException: can\'t open "{url}" (no such file): {url}\n'
    assert "SECRET" not in redact(message)
    assert "no such file" in redact(message)


@pytest.mark.parametrize(
    "text",
    [
        "spark.hadoop.fs.s3a.secret.key=SECRET",
        "spark.hadoop.fs.s3a.access.key = SECRET",
        "fs.s3a.session.token: SECRET",
        "fs.azure.account.key.x.dfs.core.windows.net -> SECRET",
        "('spark.hadoop.fs.oss.accessKeySecret', 'SECRET WORDS')",
        '{"spark.ssl.keyPassword": "SECRET"}',
        "javax.jdo.option.ConnectionPassword=SECRET",
        "AWS_SECRET_ACCESS_KEY=SECRET",
        "AWS_SESSION_TOKEN=SECRET",
        "password=SECRET",
        "Authorization: AWS4-HMAC-SHA256 Credential=SECRET/x, Signature=SECRET",
        "Bearer SECRETSECRET",
        "the key AKIASECRETSECRETSECR is unknown",
        "does not contain a valid host:port authority: user:SECRET@host",
    ],
)
def test_secrets_are_hidden(text: str) -> None:
    """Settings, variables, headers and ids of keys, as Hadoop and Java write them."""
    assert "SECRET" not in redact(text).replace("AWS_SECRET_ACCESS_KEY", "")
    assert "***" in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "hdfs://node:8020/user/me@home",
        "hdfs:///user/me@home",
        "file:/tmp/a:b@c",
        "s3a://bucket/a@b",
        "abfss://container@account.dfs.core.windows.net/a",
        "hdfs://[::1]:8020/a@b",
        'Spark knows "local[2]", "spark://HOST:PORT", "yarn" and "k8s://HOST:PORT"',
        "check spark.hadoop.fs.s3a.access.key, spark.hadoop.fs.s3a.secret.key and others",
        'input "tokens" is fed by the column "token"; write feed={"tokens": "words"}',
        "--feed token=words",
        "x:0, y:0 and the tensor a/b:0",
        "model /m/ctr, digest 0123456789abcdef",
        "row 3 (id=5): TensorFlow refused it: indices[0] = -5 is not in [0, 2)",
    ],
)
def test_other_text_stays_as_it_is(text: str) -> None:
    """Paths, ports, settings' names and columns aren't secrets."""
    assert redact(text) == text


def test_secrets_of_the_settings_are_hidden_wherever_they_appear(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What the user gave as a key is hidden in any text; short and harmless values aren't."""
    monkeypatch.setattr(shown_text, "_known_secrets", set())
    hide_secrets({"spark.hadoop.fs.s3a.secret.key": "kJ8/abc+Def", "spark.x.token": "yes"})
    hide_secrets({"spark.app.name": "nightly-job"})
    assert shown("denied for kJ8/abc+Def: yes, nightly-job") == "denied for ***: yes, nightly-job"


def test_long_text_is_cut() -> None:
    """A name of megabytes doesn't fill the terminal."""
    assert shown("x" * 2_000_000).endswith("x... (1,950,000 more characters)")


@pytest.mark.parametrize(
    "part",
    [
        "a://",
        "spark.",
        "a-",
        "a:",
        "a:b@",
        "TOKEN",
        "token",
        "?token",
        "jdbc:oracle:a:",
        "\x1b",
        "%-",
    ],
)
def test_no_text_takes_long(part: str) -> None:
    """Nobody can write a name that keeps the driver busy."""
    started = time.monotonic()
    shown(part * (60_000 // len(part)))
    assert time.monotonic() - started < 5


def test_escape_keeps_spaces() -> None:
    """Columns that are aligned with spaces stay so."""
    assert escape("  a  b") == "  a  b"
