"""The state that a trial may leave in its process, put back before the next trial begins there."""

import contextlib
import gc
import logging
import os
import random
import signal
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import psutil
from hydra.core.global_hydra import GlobalHydra
from omegaconf.basecontainer import BaseContainer

PutBack = Callable[[], object]
TORCH = "torch"  # where a trial is the first to import it, nobody knows what its generators were like before


class _Logger(NamedTuple):
    level: int = logging.NOTSET
    handlers: Sequence[logging.Handler] = []
    filters: Sequence[Any] = []
    propagates: bool = True
    is_disabled: bool = False


FRESH = _Logger()


class ProcessState:
    """What the process is like now, to which it can be put back."""

    def __init__(self) -> None:
        self._has_torch = TORCH in sys.modules
        self._threads, self._children = set(threading.enumerate()), _children()
        self._limits = _limits()
        self._put_back = [kept() for kept in KEPT]

    def restore(self) -> bool:
        """Put the process back; False where a trial has left something that only its end can clear away."""
        is_clear = not self._is_left()
        for put_back in self._put_back:
            put_back()
        gc.collect()  # of trials alone: what was there before is frozen
        return is_clear and not _holds_gpu()

    def _is_left(self) -> bool:
        """Say whether processes, threads, libraries or runs outlive their trial."""
        distributed = sys.modules.get("torch.distributed")
        threads = set(threading.enumerate()) - self._threads
        return (
            (TORCH in sys.modules and not self._has_torch)
            or any(thread.is_alive() and not thread.daemon for thread in threads)
            or bool(_children() - self._children)
            or _limits() != self._limits
            or getattr(sys.modules.get("wandb"), "run", None) is not None
            or (distributed is not None and distributed.is_available() and distributed.is_initialized())
        )


def _children() -> set[int]:
    return {process.pid for process in psutil.Process().children()}


def _limits() -> list[tuple[int, int]]:
    """Return what the system grants this process; on Windows it grants nothing of the kind."""
    try:
        import resource
    except ModuleNotFoundError:
        return []
    return [resource.getrlimit(getattr(resource, name)) for name in dir(resource) if name.startswith("RLIMIT_")]


def _environment() -> PutBack:
    before = dict(os.environ)

    def put_back() -> None:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)

    return put_back


def _places() -> PutBack:
    folder, mask, temporary = Path.cwd(), os.umask(0), tempfile.tempdir
    os.umask(mask)

    def put_back() -> None:
        os.chdir(folder)
        os.umask(mask)
        tempfile.tempdir = temporary

    return put_back


def _interpreter() -> PutBack:
    path, limit, collects = list(sys.path), sys.getrecursionlimit(), gc.isenabled()
    hooks, on_thread = sys.excepthook, threading.excepthook

    def put_back() -> None:
        sys.path[:] = path
        sys.excepthook, threading.excepthook = hooks, on_thread
        sys.setrecursionlimit(limit)
        (gc.enable if collects else gc.disable)()

    return put_back


def _streams() -> PutBack:
    streams, numbers = (sys.stdout, sys.stderr), (os.dup(1), os.dup(2))

    def put_back() -> None:
        for number, (ours, theirs) in enumerate(zip(numbers, (sys.stdout, sys.stderr), strict=True), 1):
            with contextlib.suppress(OSError, ValueError):  # closed, or the disk is full
                theirs.flush()
            os.dup2(ours, number)
        sys.stdout, sys.stderr = streams

    return put_back


def _signals() -> PutBack:
    before = {number: signal.getsignal(number) for number in signal.valid_signals()}

    def put_back() -> None:
        for number, handler in before.items():
            if handler is not None and signal.getsignal(number) is not handler:
                signal.signal(number, handler)

    return put_back


def _warnings() -> PutBack:
    filters, show = list(warnings.filters), warnings.showwarning

    def put_back() -> None:
        warnings.resetwarnings()  # so that what was warned of once is again
        warnings.filters[:] = filters  # type: ignore[index]  # a list, whatever its type promises
        warnings.showwarning = show

    return put_back


def _loggers() -> PutBack:
    manager = logging.root.manager
    before = {logger: _facts(logger) for logger in [logging.root, *_all_loggers()]}
    disabled = manager.disable

    def put_back() -> None:
        manager.disable = disabled
        for logger in [logging.root, *_all_loggers()]:
            now, kept = _facts(logger), before.get(logger, FRESH)
            if now != kept:  # setting a level takes long
                for handler in now.handlers:
                    if handler not in kept.handlers:
                        handler.close()
                logger.handlers[:], logger.filters[:] = kept.handlers, kept.filters
                logger.propagate, logger.disabled = kept.propagates, kept.is_disabled
                logger.setLevel(kept.level)

    return put_back


def _facts(logger: logging.Logger) -> _Logger:
    return _Logger(logger.level, list(logger.handlers), list(logger.filters), logger.propagate, logger.disabled)


def _all_loggers() -> list[logging.Logger]:
    return [each for each in logging.root.manager.loggerDict.values() if isinstance(each, logging.Logger)]


def _hydra() -> PutBack:
    resolvers = dict(BaseContainer._resolvers)

    def put_back() -> None:
        GlobalHydra.instance().clear()
        BaseContainer._resolvers.clear()
        BaseContainer._resolvers.update(resolvers)

    return put_back


def _random() -> PutBack:
    state = random.getstate()
    return lambda: random.setstate(state)


def _numpy() -> PutBack:
    numpy: Any = sys.modules.get("numpy")
    state, errors = (numpy.random.get_state(), numpy.geterr()) if numpy else (None, {"all": "warn", "under": "ignore"})

    def put_back() -> None:
        if numpy := sys.modules.get("numpy"):
            numpy.seterr(**errors)
            # One that is imported later begins at a point that nobody chose.
            numpy.random.seed() if state is None else numpy.random.set_state(state)

    return put_back


def _torch() -> PutBack:
    torch: Any = sys.modules.get(TORCH)
    if torch is None:
        return lambda: None
    state, seed, device = torch.get_rng_state(), torch.initial_seed(), torch.get_default_device()
    settings = [
        (torch.set_default_dtype, torch.get_default_dtype()),
        (torch.set_num_threads, torch.get_num_threads()),
        (torch.set_grad_enabled, torch.is_grad_enabled()),
        (torch.set_float32_matmul_precision, torch.get_float32_matmul_precision()),
        (torch.autograd.set_detect_anomaly, torch.is_anomaly_enabled()),
    ]
    deterministic = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    cudnn = torch.backends.cudnn
    flags = {name: getattr(cudnn, name) for name in ("enabled", "benchmark", "deterministic", "allow_tf32")}

    def put_back() -> None:
        for put, value in settings:
            put(value)
        torch.use_deterministic_algorithms(deterministic[0], warn_only=deterministic[1])
        for name, value in flags.items():
            setattr(cudnn, name, value)
        if torch.get_default_device() != device:
            torch.set_default_device(None)
        if torch.cuda.is_initialized():
            torch.cuda.manual_seed_all(seed)
        torch.set_rng_state(state)
        if "torch._dynamo" in sys.modules:
            torch.compiler.reset()  # graphs of networks that are gone

    return put_back


def _figures() -> PutBack:
    def put_back() -> None:
        if "matplotlib.pyplot" in sys.modules:
            sys.modules["matplotlib.pyplot"].close("all")

    return put_back


def _holds_gpu() -> bool:
    """Give memory of GPUs back; say whether some of it is still in use."""
    torch: Any = sys.modules.get(TORCH)
    if torch is None or not torch.cuda.is_initialized():
        return False
    torch.cuda.empty_cache()
    return any(torch.cuda.memory_allocated(device) > 0 for device in range(torch.cuda.device_count()))


KEPT = (
    _environment,
    _places,
    _interpreter,
    _streams,
    _signals,
    _warnings,
    _loggers,
    _hydra,
    _random,
    _numpy,
    _torch,
    _figures,
)
