"""Checking what a user wrote against the settings that exist."""

import difflib
import typing
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import msgspec

from qsum_lsp.errors import UsageError
from qsum_lsp.settings.patterns import is_pattern
from qsum_lsp.settings.values import Settings

NAMES = tuple(field.name for field in fields(Settings))
_TYPES = typing.get_type_hints(Settings, include_extras=True)


def check_setting(name: str, value: object, *, where: str) -> Any:
    """``value`` as the setting's own type.

    Raises UsageError, naming ``where`` it stands and the key, for an unknown name or an unfit value.
    """
    if name not in _TYPES:
        near = difflib.get_close_matches(name, NAMES, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"the settings are: {', '.join(NAMES)}."
        raise UsageError(f"{where}: unknown setting '{name}'; {hint}")
    try:
        checked = msgspec.convert(value, _TYPES[name])
    except msgspec.ValidationError as error:
        choices = _choices(name)
        reason = f"one of {', '.join(choices)} is expected" if choices else str(error)
        raise UsageError(f"{where}: {name} = {value!r} does not fit: {reason}.") from None
    if name in ("include", "exclude"):
        for pattern in checked:
            if not is_pattern(pattern):
                raise UsageError(
                    f"{where}: {name}: {pattern!r} is no gitignore pattern; names of folders are parted by '/'."
                )
    return checked


def check_settings(values: Mapping[str, object], *, where: str) -> dict[str, Any]:
    """All of ``values`` checked; the first that does not fit raises UsageError."""
    return {name: check_setting(name, value, where=where) for name, value in values.items()}


def _choices(name: str) -> tuple[str, ...]:
    kind = _TYPES[name]
    return typing.get_args(kind) if typing.get_origin(kind) is typing.Literal else ()
