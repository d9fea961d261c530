import re
import sys
from collections import Counter
from dataclasses import fields
from types import ModuleType

import pytest

from sweeplab.errors import UserError
from sweeplab.sweep.config.settings import Settings, imported
from tests.conftest import ROOT


def test_a_function_may_be_an_attribute_of_a_class() -> None:
    assert imported("collections.Counter.most_common", "check") is Counter.most_common


@pytest.mark.parametrize("path", ["nowhere.at_all", "json.no_such", "json", "json.decoder."])
def test_what_cannot_be_imported_is_named_with_its_key(path: str) -> None:
    with pytest.raises(UserError, match=rf"hydra\.sweeper\.check={path}.* cannot be imported"):
        imported(path, "check")


def test_the_programs_own_module_is_not_imported_a_second_time(monkeypatch: pytest.MonkeyPatch) -> None:
    main = ModuleType("__main__")
    main.__file__, main.suggest = __file__, object()  # type: ignore[attr-defined]  # as a program defines it
    monkeypatch.setitem(sys.modules, "__main__", main)
    monkeypatch.delitem(sys.modules, __name__)
    assert imported(f"{__name__}.suggest", "check") is main.suggest


def test_every_key_is_on_the_page_of_keys() -> None:
    rows = re.findall(r"^\| (`.*?`) \|", (ROOT / "docs/sweep-reference.md").read_text().partition("## Files")[0], re.M)
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    keys = {field.name for field in fields(Settings)} - {"_target_", "_recursive_", "defaults"}
    assert keys <= named
