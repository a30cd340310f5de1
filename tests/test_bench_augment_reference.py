"""The comparison with a user's copy of the reference: what it says of copies that are none, and that it tells what differs."""

import sys
import types

import numpy as np
import numpy_randaugment
import pytest
from click.testing import CliRunner

from bench.augment import ops
from bench.errors import UserError
from bench.perf import reference_randaugment as comparison

FILE = "big_vision/pp/archive/autoaugment.py"
COMPLETE = f"NAME_TO_FUNC = dict.fromkeys({ops.NAMES!r})\nlevel_to_arg = HParams = dict\n"


@pytest.fixture
def checkout(tmp_path):
    file = tmp_path / FILE
    file.parent.mkdir(parents=True)
    file.write_text(COMPLETE)
    return tmp_path


@pytest.fixture
def without_tensorflow(monkeypatch):
    monkeypatch.setattr(comparison, "tensorflow", lambda: None)
    for name in ("tensorflow_addons", "tensorflow_addons.image", "reference_autoaugment"):
        monkeypatch.setitem(sys.modules, name, None)


def test_the_file_is_found_in_a_checkout_or_by_itself(checkout):
    assert comparison.find(checkout) == checkout / FILE
    assert comparison.find(checkout / FILE) == checkout / FILE


@pytest.mark.parametrize(
    ("place", "message"), [("nowhere", "there is no .*nowhere: give a checkout"), ("", "has none of big_vision/pp/archive")]
)
def test_a_path_without_the_file(tmp_path, place, message):
    with pytest.raises(UserError, match=message):
        comparison.find(tmp_path / place)


def test_a_file_that_is_no_python(tmp_path):
    (tmp_path / "autoaugment.txt").write_text("")
    with pytest.raises(UserError, match=r"autoaugment\.txt is no Python file"):
        comparison.find(tmp_path / "autoaugment.txt")


@pytest.mark.usefixtures("without_tensorflow")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import nothing_of_that_name", "cannot be imported: ModuleNotFoundError: No module named 'nothing_of_that_name'"),
        ("1 +", "cannot be imported: SyntaxError"),
        ("NAME_TO_FUNC = {}", "has no level_to_arg, HParams: give"),
        (COMPLETE + "del NAME_TO_FUNC['Rotate']", "has no operation Rotate: give"),
    ],
)
def test_a_file_that_is_not_the_reference(checkout, text, message):
    (checkout / FILE).write_text(text)
    with pytest.raises(UserError, match=message):
        comparison.load(checkout / FILE)


@pytest.mark.usefixtures("without_tensorflow")
def test_what_the_reference_imports_is_stood_in_for(checkout):
    (checkout / FILE).write_text(f"from tensorflow_addons import image\n{COMPLETE}")
    found = comparison.load(checkout / FILE)
    assert {"rotate", "translate", "transform"} <= set(vars(found.image))


def test_without_tensorflow_it_says_so(checkout, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(UserError, match="needs it: install tensorflow-cpu"):
        comparison.load(comparison.find(checkout))


def test_an_error_is_one_line(tmp_path):
    done = CliRunner().invoke(comparison.main, [str(tmp_path / "nowhere")])
    assert done.exit_code == 2
    assert done.stderr.startswith("error: there is no ")
    assert done.stderr.count("\n") == 1


@pytest.mark.filterwarnings("ignore")
def test_it_tells_what_differs_and_what_is_refused():
    tf = pytest.importorskip("tensorflow")
    magnitudes = (0, 10)
    reference = types.SimpleNamespace(HParams=lambda **constants: constants)

    def function(name):
        def run(image, *arguments):
            if name == "Equalize":
                raise ValueError(name)
            level, image = float(arguments[0]) if arguments else 0.0, image.numpy()
            centre = [int(reference.tf.random_uniform()) for _ in range(2)] if name == "Cutout" else (0, 0)
            options = {"negate": level < 0, "centre": centre, "fixed": name == "Solarize"}
            found = numpy_randaugment.apply(image, name, abs(level), **options)
            return tf.constant(found ^ np.uint8(name == "Invert"))

        return run

    reference.NAME_TO_FUNC = {name: function(name) for name in ops.NAMES}
    reference.level_to_arg = lambda _: {
        name: lambda level, name=name: (
            (reference._randomly_negate_tensor(level),) if name in comparison.warp.NAMES else (level,)
        )
        for name in ops.NAMES
    }
    found = comparison.compare(reference, 16, magnitudes)
    outcomes = {name: {outcome: count for (other, outcome), count in found.items() if other == name} for name in ops.NAMES}
    assert outcomes.pop("Equalize") == {"refused": 2}
    assert outcomes.pop("Invert") == {"different": 2}
    assert outcomes.pop("Solarize") == {"equal": 1, "equal to fixed": 1}
    assert all(set(outcome) == {"equal"} for outcome in outcomes.values())
    assert outcomes["Rotate"] == {"equal": 4}
    assert outcomes["Cutout"] == {"equal": 2}
