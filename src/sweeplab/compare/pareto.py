"""Which of several points no other one beats."""

from collections.abc import Sequence


def unbeaten(points: Sequence[Sequence[float]]) -> list[int]:
    """Return the indices of the points that no other is as good as in all respects and better in one, in their order.

    The smaller a number the better. Points that are equal do not beat each other.
    """
    front: list[int] = []
    for index in sorted(range(len(points)), key=lambda index: tuple(points[index])):  # what beats a point comes first
        if not any(_beats(points[other], points[index]) for other in front):
            front.append(index)
    return sorted(front)


def _beats(one: Sequence[float], other: Sequence[float]) -> bool:
    return tuple(one) != tuple(other) and all(a <= b for a, b in zip(one, other, strict=True))
