"""`${data:attribute}` in a configuration: what the data module knows and something else asks for.

LightningCLI links arguments in the same way when it instantiates. A link stands as text until the data is built; then
`linked` replaces it by the attribute's value, so that a run can be built again without its data.
"""

import re
from collections.abc import Iterator, Mapping
from operator import attrgetter
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationResolutionError
from omegaconf.resolvers import oc

from sweeplab.errors import SetupError, did_you_mean
from sweeplab.resolvers import register_resolver
from sweeplab.secrets import is_secret

RESOLVER = "data"
LINK = re.compile(r"\$\{data:\s*([\w.]+)\s*\}")
_OF_THIS_JOB = re.compile(r"\$\{(?:hydra|now):[^{}]*\}")  # what nobody can ask when the job is over
LARGEST = 10_000  # numbers that a configuration may take from the data


class DataNotBuiltError(Exception):
    """A link was asked for before there was any data."""


def register() -> None:
    """Let OmegaConf know the links."""
    register_resolver(RESOLVER, _unbuilt)


def links(config: Any, above: str = "") -> Iterator[tuple[str, str]]:
    """Return the links of a configuration: the key, and the attribute of the data that it asks for."""
    plain = OmegaConf.to_container(config, resolve=False) if OmegaConf.is_config(config) else config
    if isinstance(plain, Mapping | list):
        for key, value in plain.items() if isinstance(plain, Mapping) else enumerate(plain):
            yield from links(value, f"{above}.{key!s}" if above else str(key))
    elif isinstance(plain, str):
        yield from ((above, attribute) for attribute in LINK.findall(plain))


def linked(config: DictConfig, data: Any) -> DictConfig:
    """Return the configuration with every link replaced by what the data has.

    Raises:
        SetupError: the data lacks an attribute, or has none that a configuration can hold.
    """
    for key, attribute in links(config):
        _attribute(data, attribute, key)
    register_resolver(RESOLVER, lambda name: _attribute(data, name))
    try:
        return OmegaConf.create(kept(config))
    finally:
        register()


def resolved(config: DictConfig) -> dict[str, Any]:
    """Return the configuration as plain data, every interpolation replaced by its value but for links without data."""
    try:
        return OmegaConf.to_container(config, resolve=True, throw_on_missing=True)  # type: ignore[return-value]  # a dict in, a dict out
    except InterpolationResolutionError as error:
        if DataNotBuiltError.__name__ not in str(error):
            raise
    return _but_for_links(config)  # type: ignore[no-any-return]  # a dict in, a dict out


def kept(config: DictConfig) -> dict[str, Any]:
    """Return the configuration as `resolved` does, but with the interpolations that ask the environment.

    What it says is nobody's but this process's: a run asks again. Numbers are kept, which decide a run's own, and so is
    what Hydra says of the job.
    """
    full = resolved(config)
    if "oc.env" not in str(OmegaConf.to_container(config, resolve=False)):
        return full
    register_resolver("oc.env", _unbuilt)
    try:
        texts = _but_for_links(config)
    finally:
        register_resolver("oc.env", oc.env)
    return _with_values(texts, full, config)  # type: ignore[no-any-return]  # a dict in, a dict out


def _with_values(texts: Any, full: Any, config: DictConfig, key: str = "") -> Any:
    """Return the texts with those values in their place that hold elsewhere too."""
    if isinstance(texts, dict):
        return {name: _with_values(text, full[name], config, f"{key}.{name}") for name, text in texts.items()}
    if isinstance(texts, list) and isinstance(full, list):
        return [_with_values(text, value, config, key) for text, value in zip(texts, full, strict=True)]
    if isinstance(full, int | float) and not is_secret(key, "x"):
        return full
    return _OF_THIS_JOB.sub(lambda match: _of_this_job(match[0], config), texts) if isinstance(texts, str) else texts


def _of_this_job(text: str, config: DictConfig) -> str:
    asked = OmegaConf.create({"value": text})
    OmegaConf.copy_cache(config, asked)  # the time is what it was when it was asked for first
    return str(asked.value)


def select(config: DictConfig, key: str) -> Any:
    """Return the plain value of a key; None where there is none, or the data has it."""
    try:
        value = OmegaConf.select(config, key)
    except InterpolationResolutionError as error:
        if DataNotBuiltError.__name__ not in str(error):
            raise
        return None
    return resolved(value) if OmegaConf.is_config(value) else value


def _but_for_links(config: Any) -> Any:
    texts = OmegaConf.to_container(config, resolve=False)
    keys = texts.keys() if isinstance(texts, dict) else range(len(texts))  # type: ignore[arg-type]  # else it is a list
    values = {}
    for key in keys:
        try:
            value = config[key]
            values[key] = _but_for_links(value) if OmegaConf.is_config(value) else value
        except InterpolationResolutionError as error:
            if DataNotBuiltError.__name__ not in str(error):
                raise
            values[key] = texts[key]  # type: ignore[index]  # its own key
    return values if isinstance(texts, dict) else list(values.values())


def _unbuilt(attribute: str, *default: Any) -> Any:
    raise DataNotBuiltError(f"{attribute} is an attribute of the data, which is not built yet")


def _attribute(data: Any, attribute: str, key: str = "") -> Any:
    link = f"{key}=" * bool(key) + f"${{data:{attribute}}}"
    try:
        value = attrgetter(attribute)(data)
    except AttributeError:
        raise SetupError(
            f"{link}: {type(data).__name__} has no attribute '{attribute}' after setup('fit')"
            f"{did_you_mean(attribute, _own_attributes(data))}"
        ) from None
    try:
        return plain(value)
    except TypeError as error:
        raise SetupError(f"{link} is {error}; a configuration holds numbers, text, lists and null.") from None


def _own_attributes(data: Any) -> list[str]:
    """Return the attributes and properties that a data module has besides those of every one."""
    kinds = [kind for kind in type(data).__mro__ if kind.__module__.partition(".")[0] not in ("lightning", "builtins")]
    properties = {name for kind in kinds for name, value in vars(kind).items() if isinstance(value, property)}
    return sorted(n for n in vars(data).keys() | properties if not n.startswith(("_", "prepare_data_", "allow_zero_")))


def plain(value: Any) -> Any:
    """Return a value as a configuration can hold it; a small array is a list.

    Raises:
        TypeError: it cannot; the message is its type.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if hasattr(value, "tolist") and getattr(value, "size", 1) is not None:
        count = value.numel() if hasattr(value, "numel") else value.size
        if count <= LARGEST:
            return value.tolist()
    raise TypeError(f"a {type(value).__name__}")


register()
