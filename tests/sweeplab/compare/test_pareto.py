from hypothesis import given
from hypothesis import strategies as st

from sweeplab.compare.pareto import unbeaten

POINTS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(0, 5)), max_size=20)


@given(POINTS)
def test_the_front_is_what_no_point_beats(points: list[tuple[int, int, int]]) -> None:
    def beaten(point: tuple[int, int, int]) -> bool:
        return any(other != point and all(a <= b for a, b in zip(other, point, strict=True)) for other in points)

    assert unbeaten(points) == [place for place, point in enumerate(points) if not beaten(point)]
