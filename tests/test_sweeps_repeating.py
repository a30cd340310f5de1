from sweeps import named
from sweeps.repeating import commands

RELEASED = "B_16-i21k-300ep-lr_0.001-aug_strong2-wd_0.03-do_0.1-sd_0.1"


def test_a_released_run_can_be_repeated_and_its_checkpoint_adapted():
    assert commands([RELEASED]) == {
        RELEASED: [
            "augreg run augreg-i21k-300ep",
            f"augreg transfer {RELEASED} --data FOLDER --workdir results/transfer",
        ]
    }


def test_a_checkpoint_that_no_sweep_trains_can_be_adapted():
    b8 = "B_8-i21k-300ep-lr_0.001-aug_medium2-wd_0.1-do_0.0-sd_0.0"
    assert commands([b8]) == {b8: [f"augreg transfer {b8} --data FOLDER --workdir results/transfer"]}


def test_the_smallest_sweep_that_has_a_run_repeats_it():
    run = named.find("demo").upstream_points[0].name
    [command] = commands([run])[run]
    name = command.removeprefix("augreg run ")
    holding = [s for s in map(named.find, named.names()) if run in {p.name for p in s.upstream_points}]
    assert "demo" in {s.name for s in holding}
    assert name in {s.name for s in holding}
    assert sum(named.find(name).size) == min(sum(s.size) for s in holding)


def test_what_is_not_known_has_no_command():
    other = RELEASED.replace("lr_0.001", "lr_0.005")
    assert commands(["mine", other]) == {}
