from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st

from sweeplab.sweep.config.trial_config import parse
from sweeplab.sweep.space.values import override


@given(st.one_of(st.integers(), st.floats(), st.booleans(), st.none(), st.text()))
def test_values_are_read_as_hydra_reads_them(value: float | str | None) -> None:
    line = override("model.lr", value)
    (own,), (hydras,) = parse([line]), OverridesParser.create().parse_overrides([line])
    assert repr(own) == repr(hydras)
    assert repr(own.value()) == repr(hydras.value())


def test_a_number_does_not_change_the_override_of_another() -> None:
    first = parse(["x=1"])[0]
    assert [each.value() for each in (*parse(["x=2", "x=-1.5e-07", "x=1e+16"]), first)] == [2, -1.5e-07, 1e16, 1]
