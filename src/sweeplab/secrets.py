"""Secrets, taken out of all that is written or sent: passwords in URLs, and what stands under a name like `api_key`."""

import re
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from omegaconf import DictConfig, ListConfig

HIDDEN = "***"

# `://user:` up to the last `@` of the word: a password may hold any sign but a blank. What was hidden stays so.
_USER = re.compile(r"(://[^:/?#@\s]*):(?!\d{1,5}/)((?:(?!://)\S)+)@")
# `?password=`, as drivers of databases take it; `odbc_connect` is a whole connection string in one argument.
_QUERY = re.compile(
    r"([?&;][\w.-]*(?:password|passwd|pwd|secret|token|api_?key|odbc_connect)=)[^&\s'\"]+", re.IGNORECASE
)

# What a key of a secret is called, and what only sounds like it.
_NAME = re.compile(r"token|key|secret|passw|credential|bearer|passphrase|^pwd$", re.IGNORECASE)
_HARMLESS = re.compile(
    r"_(path|file|name|dir)$|tokeni[sz]|tokens$|token_(type|dim|len)|(^|_)(pad|bos|eos|unk|sep|cls|mask|start|end|stop|split|special|prompt)_token"
    r"|keys$|key_(dim|padding)|key(word|point|board|frame|stone)|[mk]onkey|turkey"
    r"|(^|_)(repeat|rerun|seed|sort|image|label|target|input|output|batch|data|sample|cache|index|group|monitor|loss|text|metric|pred|state|feature|query|class)_key$",
    re.IGNORECASE,
)
_NOTHING = re.compile(r"|null|none|true|false", re.IGNORECASE)
_PLACEHOLDER = re.compile(r"<.*>|\[.*\]")
_NUMBER = re.compile(r"[-+.\de]*")
# What holds secrets under whatever names, but for these; and what may be a number.
_STORE = re.compile(r"secrets|credentials|passwords|api_?keys", re.IGNORECASE)
_PLAIN = re.compile(r"path|file|dir|timeout|region|host|port|url|type|name|scopes?", re.IGNORECASE)
_PASSWORD = re.compile(r"passw|passphrase|^pwd$|secret$|api_?key$", re.IGNORECASE)
# `name=value` and `name: value` inside a text, where the value is no interpolation.
_PAIR = re.compile(r"([\w.-]+)(\s*[=:]\s*)(?!\$\{)('[^']*'|\"[^\"]*\"|\{[^{}]*\}|\[[^\[\]]*\]|[^\s,'\"{}\[\]()]+)")
# Names that nothing harmless has; under others a plain word is a name itself, as in `text_key: sentence`.
_SURE = re.compile(
    r"secret|passw|passphrase|^pwd$|credential|bearer|(^|_)token$"
    r"|(^|_)(my|api|access|private|signing|encryption|account|service|auth|ssh|hf|wandb|license)_?key$",
    re.IGNORECASE,
)
_WORD = re.compile(r"[A-Za-z_]{1,19}")
_FEWEST = 6  # characters of a secret that is looked for in other texts
_FEWEST_DIGITS = 4

_masked_before: set[str] = set()


def is_secret(key: str, value: Any) -> bool:
    """Say whether what stands under a dotted key is a secret in plain: a text or number, under the name of one."""
    names = [name for name in key.split(".") if name and not name.isdigit()]
    text = "" if isinstance(value, bool) or not isinstance(value, str | int | float) else str(value)
    if not names or "${" in text or _NOTHING.fullmatch(text):
        return False
    name = names[-1]
    if any(_STORE.fullmatch(each) for each in names):
        return _STORE.fullmatch(name) is not None or not (_PLAIN.fullmatch(name) or _HARMLESS.search(name))
    if _HARMLESS.search(name) is not None:
        return False
    if _NAME.search(name) is None:
        return False
    if _NUMBER.fullmatch(text):
        return len(text) >= _FEWEST_DIGITS and _PASSWORD.search(name) is not None
    if _PLACEHOLDER.fullmatch(text):
        return _PASSWORD.search(name) is not None
    return _SURE.search(name) is not None or _WORD.fullmatch(text) is None


def masked_config(value: Any, key: str = "") -> Any:
    """Return plain configuration in which each secret is `***`; from now on `without_secrets` knows them.

    Hydra's own part is text of overrides too, and is searched for `name=value`.
    """
    if isinstance(value, Mapping):
        return {name: masked_config(item, f"{key}.{name}" if key else str(name)) for name, item in value.items()}
    if isinstance(value, list | tuple):
        items = [masked_config(item, f"{key}.") for item in value]
        return tuple(items) if isinstance(value, tuple) else items
    if is_secret(key, value):
        if len(str(value)) >= _FEWEST and HIDDEN not in str(value):
            _masked_before.add(str(value))
        return HIDDEN
    if not isinstance(value, str):
        return value
    if not key.startswith("hydra."):
        return masked(value)
    return masked_word(value) if key.endswith(".") else masked(_PAIR.sub(_hide_value, value))


def masked_word(word: str) -> str:
    """Return a word of a command line in which each secret is `***`."""
    key, equals, value = word.partition("=")
    if equals and _is_secret_word(key.lstrip("+~"), value):
        return f"{key}={HIDDEN}"
    return masked(_PAIR.sub(_hide_value, word))


def masked_words(words: Sequence[str]) -> list[str]:
    """Return the words of a command line in which each secret is `***`."""
    return [masked_word(word) for word in words]


def masked_command(line: str) -> str:
    """Return a command, as it is pasted into a shell, in which each secret is `***`."""
    try:
        words = shlex.split(line)
    except ValueError:  # no command of ours
        return masked(line)
    hidden = masked_words(words)
    return line if hidden == words else shlex.join(hidden)


def without_secrets(text: str) -> str:
    """Return a text, such as that of an error, in which each secret that was masked before is `***`."""
    for value in sorted(_masked_before, key=len, reverse=True):
        text = text.replace(value, HIDDEN)
    return masked(text)


def hidden(config: Any, above: str = "") -> Iterator[str]:
    """Return the keys under which a secret is masked."""
    if isinstance(config, Mapping | list):
        for key, value in config.items() if isinstance(config, Mapping) else enumerate(config):
            yield from hidden(value, f"{above}.{key}" if above else str(key))
    elif isinstance(config, str) and (config == HIDDEN or f":{HIDDEN}@" in config or f"={HIDDEN}" in config):
        yield above


@contextmanager
def masked_arguments() -> Iterator[None]:
    """Hide the secrets on the command line of this process from those who record it."""
    before, sys.argv = sys.argv, [sys.argv[0], *masked_words(sys.argv[1:])]
    try:
        yield
    finally:
        sys.argv = before


def masked(text: str) -> str:
    """Return a text in which each password in a URL is `***`, in front of the host and behind the `?` alike.

    An interpolation such as `${oc.env:PASSWORD}` stays: it is where the password can be had, not the password.
    """
    if "://" not in text:
        return text
    return _QUERY.sub(_hide_argument, _USER.sub(_hide_user, text))


def masked_values(value: Any) -> Any:
    """Return plain data in which every text is `masked`."""
    if isinstance(value, str):
        return masked(value)
    if isinstance(value, Mapping):
        return {key: masked_values(item) for key, item in value.items()}
    return [masked_values(item) for item in value] if isinstance(value, list | tuple) else value


def mask(config: "DictConfig | ListConfig") -> None:
    """Take the passwords out of a configuration, in place; interpolations stay."""
    from omegaconf import DictConfig, ListConfig, Node

    for key in list(config) if isinstance(config, DictConfig) else range(len(config)):
        node = config._get_node(key)
        if isinstance(node, DictConfig | ListConfig):
            if not (node._is_none() or node._is_missing() or node._is_interpolation()):
                mask(node)
        elif isinstance(node, Node) and isinstance(text := node._value(), str) and masked(text) != text:
            node._set_value(masked(text))


def _is_secret_word(key: str, value: str) -> bool:
    """Say whether the value of an override, or an item of it where it is a list, is a secret."""
    items = value[1:-1].split(",") if value.startswith("[") and value.endswith("]") else ()
    return any(is_secret(key, each) for each in (value, *(item.strip(" '\"") for item in items)))


def _hide_value(match: re.Match[str]) -> str:
    if _is_secret_word(match[1], match[3].strip("'\"")):
        return f"{match[1]}{match[2]}{HIDDEN}"
    if match[3][0] in "{[":
        return f"{match[1]}{match[2]}{match[3][0]}{_PAIR.sub(_hide_value, match[3][1:])}"
    return match[0]


def _hide_user(match: re.Match[str]) -> str:
    return match[0] if _is_interpolation(match[2]) else f"{match[1]}:{HIDDEN}@"


def _hide_argument(match: re.Match[str]) -> str:
    value = match[0][len(match[1]) :]
    return match[0] if _is_interpolation(value) else match[1] + HIDDEN


def _is_interpolation(text: str) -> bool:
    return re.fullmatch(r"\$\{[^{}]*\}", text) is not None
