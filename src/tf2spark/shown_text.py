"""Text from models, tables and users, made safe for people to read.

Names and messages can come from anyone. A terminal acts on the escape sequences in them, a line
break forges a line of its own, a character that turns the reading direction hides what is really
written, and a URL may contain a password. Errors and output pass through `shown`, which writes such
characters as escapes and secrets as ``***``. Only `Lines` keeps line breaks: those are ours.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

HIDDEN = "***"
_MIN_SECRET_LENGTH = 8  # replacing a secret like "true" would garble every message
_MAX_LENGTH = 50_000

# Python counts these as printable although they show nothing: the grapheme joiner, Hangul fillers,
# Khmer's inherent vowels, variation selectors of Mongolian and others, the empty braille cell.
_BLANK = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0"
    + "".join(map(chr, (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))))
)

# Repetitions are bounded, so that no text takes quadratic time.
_URL = re.compile(r"\b([A-Za-z][A-Za-z0-9+.-]{0,30}):(/+)")
_WORD = re.compile(r"[^\s\"<>]{1,1000}")
_PORT = re.compile(r"\d{1,5}")
# Here an authority is a bucket, without a port.
_BUCKET_SCHEMES = frozenset({"s3", "s3a", "s3n", "oss", "gs", "cosn", "obs"})
# Here a container precedes the "@", unless there is a password.
_CONTAINER_SCHEMES = frozenset({"abfs", "abfss", "wasb", "wasbs"})
_BARE_USER = re.compile(r"(?<![\w/:.])[\w.%+~-]{1,100}:[^\s/@\"]{1,200}@(?=[\w\[])")
_ORACLE_USER = re.compile(r"(\bjdbc:oracle:\w{1,10}:)[^\s/@]{1,100}/[^\s@]{1,200}@", re.IGNORECASE)

_SECRET_KEY = (
    r"(?:secret|passw(?:or)?d|\bpwd\b|token|access[._-]?key|account[._-]?key|private[._-]?key"
    r"|api[._-]?key|\bsas\b)"
)
_SECRET_SETTING = re.compile(_SECRET_KEY, re.IGNORECASE)
_PREFIXES = "spark|hadoop|fs|dfs|hive|javax|aws|azure|google"
_AFTER_KEY = (
    # A setting of Spark or Hadoop: key=value, key: value, key -> value, ('key', 'value').
    re.compile(
        rf"(\b(?:{_PREFIXES})\.[\w.-]{{0,200}}?{_SECRET_KEY}[\w.-]{{0,200}}[\"']?"
        r"\s{0,9}(?:=|:|->|,(?=\s*[\"']))\s{0,9})(?:\"[^\"]*\"?|'[^']*'?|[^\s\"']+)",
        re.IGNORECASE,
    ),
    # A parameter of a URL, or of a JDBC address.
    re.compile(
        rf"([?&;](?:[\w.-]{{0,60}}(?:{_SECRET_KEY}|signature|credential|access_?id)[\w.-]{{0,60}}"
        r"|sig)=)[^&\s\"'#;<>]+",
        re.IGNORECASE,
    ),
    # A variable of the environment.
    re.compile(r"(\b[A-Z0-9_]{0,60}(?:SECRET|PASSWORD|TOKEN|ACCESS_KEY)[A-Z0-9_]{0,60}=)[^\s\"']+"),
    re.compile(r"((?<![\w.-])(?:password|passwd|pwd)=)[^\s\"'&;]+", re.IGNORECASE),
    re.compile(r"(\bAuthorization\"?\s{0,9}[:=]\s{0,9})[^\r\n]+", re.IGNORECASE),
    re.compile(r"(\bBearer\s{1,9})[\w.~+/-]{8,}=*", re.IGNORECASE),
)
# The ids of keys of AWS and Alibaba Cloud.
_KEY_ID = re.compile(r"\b(?:AKIA|ASIA|LTAI)[A-Za-z0-9]{12,}\b")

_known_secrets: set[str] = set()


class Lines(str):
    """Text whose line breaks are ours. Its lines are safe to show."""

    __slots__ = ()

    @classmethod
    def of(cls, lines: Iterable[str]) -> Lines:
        """Join texts, each of which becomes one line whatever it contains."""
        return cls("\n".join(map(shown, lines)))


def shown(text: str) -> str:
    """Return a text for people: on one line, without invisible characters and secrets."""
    if isinstance(text, Lines):
        return text
    if len(text) > _MAX_LENGTH:
        text = f"{text[:_MAX_LENGTH]}... ({len(text) - _MAX_LENGTH:,} more characters)"
    return redact(escape(text))


def escape(text: str) -> str:
    r"""Write what doesn't show, or what a terminal acts on, as an escape: ``\x1b``, ``\n``."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_escape_character, text))


def _escape_character(character: str) -> str:
    if character.isprintable() and character not in _BLANK:
        return character
    return character.encode("unicode_escape").decode("ascii")


def redact(text: str) -> str:
    """Write the users and passwords of URLs, and keys, tokens and signatures, as ``***``."""
    text = _ORACLE_USER.sub(rf"\1{HIDDEN}@", _without_users(text))
    text = _BARE_USER.sub(f"{HIDDEN}@", text)
    for pattern in _AFTER_KEY:
        text = pattern.sub(rf"\1{HIDDEN}", text)
    text = _KEY_ID.sub(HIDDEN, text)
    for secret in _known_secrets:
        text = text.replace(secret, HIDDEN)
    return text


def _without_users(text: str) -> str:
    """Return a text whose URLs have no user and no password."""
    parts, position = [], 0
    while match := _URL.search(text, position):
        parts.append(text[position : match.end()])
        position = match.end()
        rest = _WORD.match(text, position)
        length = _user_length(match[1].lower(), match[2], rest[0]) if rest else 0
        if length > 0:
            parts.append(HIDDEN)
            position += length
    return "".join([*parts, text[position:]])


def _user_length(scheme: str, slashes: str, rest: str) -> int:
    """Return the length of the user and password at the start of a URL's `rest`; 0 for none.

    People write passwords as they are, with "/", "#" or "@" in them. So if there is a password, or
    what precedes the first slash can't be a host and its port, all up to the last "@" is hidden.
    """
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if scheme == "file" or "@" not in rest or (slashes != "//" and "@" not in authority):
        return 0
    user = authority.partition("@")[0]
    if "@" in authority:
        if ":" in user:
            return rest.rfind("@")
        is_path = slashes != "//" or scheme in _CONTAINER_SCHEMES
        return 0 if is_path else authority.rfind("@")
    if ":" not in user or user.startswith("["):  # a host, perhaps as an IPv6 address
        return 0
    is_port = _PORT.fullmatch(user.rpartition(":")[2]) and scheme not in _BUCKET_SCHEMES
    return 0 if is_port else rest.rfind("@")


def safe_setting(key: str, value: str) -> str:
    """Return the value of a setting for people: ``***`` if its key says that it is a secret."""
    return HIDDEN if _SECRET_SETTING.search(key) else shown(value)


def hide_secrets(settings: Mapping[str, str]) -> None:
    """Keep the secrets among some settings out of everything that is shown from now on."""
    for key, value in settings.items():
        if _SECRET_SETTING.search(key) and len(value) >= _MIN_SECRET_LENGTH:
            _known_secrets.add(value)
