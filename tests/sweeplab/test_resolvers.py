from omegaconf import OmegaConf

from sweeplab.resolvers import register_resolver


def test_a_later_resolver_takes_the_place_of_an_earlier_one() -> None:
    config = OmegaConf.create({"x": "${of_this_test:2}"})
    for factor in (2, 3):
        register_resolver("of_this_test", lambda number, factor=factor: factor * number)
        assert OmegaConf.to_container(config, resolve=True) == {"x": 2 * factor}
    OmegaConf.clear_resolver("of_this_test")
