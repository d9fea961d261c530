from quality import duels

MOMENTS = [1.0, 2.0, 3.0, 4.0]


def duel(ours: list[float], theirs: list[float]) -> dict[str, object]:
    """What a duel of two curves says."""
    rows = [
        {"way": "ours", "peer": False, "final, median": ours[-1], "median curve": ours},
        {"way": "theirs", "peer": True, "final, median": theirs[-1], "median curve": theirs},
    ]
    told: dict[str, object]
    (told,) = duels(rows, MOMENTS)
    return told


def test_a_peer_is_met_where_ours_comes_to_its_final_value() -> None:
    told = duel(ours=[0.0, 0.9, 0.9, 0.95], theirs=[0.5, 0.6, 0.7, 0.8])
    assert (told["there after, s"], told["ours"]) == (4.0, "2 s, 0.50")


def test_a_better_peer_is_not_reached() -> None:
    assert duel(ours=[0.1, 0.2, 0.3, 0.4], theirs=[0.5, 0.6, 0.7, 0.8])["ours"] == "not reached"


def test_a_peer_without_a_value_is_no_duel() -> None:
    told = duel(ours=[0.1, 0.2, 0.3, 0.4], theirs=[0.0, 0.0, 0.0, 0.0])
    assert (told["there after, s"], told["ours"]) == (None, "not reached")
