"""The wheel, as a stranger gets it: installed outside of the repository, without it and without a network."""

import json
import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
from PIL import Image
from torchvision.datasets import MNIST

from digitlib.data import load_raw
from tools import launch

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return launch.build_wheel(ROOT, tmp_path_factory.mktemp("built"))


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """Return a function that runs a command of an environment with the wheel, whose other packages are this one's.

    The folder of those packages is named in a .pth file: its own .pth files, of the editable digitlib, are not read.
    """
    home = tmp_path_factory.mktemp("home")
    venv = home / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    install = ["uv", "pip", "install", "--offline", "--no-deps", "--quiet", "--python", venv, wheel]
    subprocess.run([sys.executable, "-m", *install], check=True)
    scripts = venv / Path(sysconfig.get_path("scripts")).name
    packages = sysconfig.get_path("purelib", vars={"base": str(venv), "platbase": str(venv)})
    (Path(packages) / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DIGITLIB", "XDG"))}
    kept = {name: value for name, value in kept.items() if not name.lower().endswith("_proxy")}
    kept |= {"HOME": str(home), "LOCALAPPDATA": str(home), "PYTHONPATH": str(ROOT / "tests" / "offline")}

    def run(name, *arguments, **variables):
        command = [scripts / name, *arguments]
        return subprocess.run(command, cwd=home, env={**kept, **variables}, capture_output=True, text=True)

    return run


def test_the_wheel_holds_the_library_its_scripts_and_weights_and_nothing_else(wheel):
    library = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "digitlib").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    about = "digitlib-1.0.0.dist-info"
    about = {
        f"{about}/{name}" for name in ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "top_level.txt")
    }
    shipped = {"digitlib/weights/best.pth", "digitlib/writers/train.csv.gz", "digitlib/writers/test.csv.gz"}
    shipped |= {f"digitlib/MNIST/raw/{name}" for name, _ in MNIST.resources}
    with zipfile.ZipFile(wheel) as archive:
        licences = {name for name in archive.namelist() if "dist-info/licenses/" in name}
        found = {*archive.namelist()} - licences
        metadata = archive.read("digitlib-1.0.0.dist-info/METADATA").decode()
    assert found == library | about | shipped
    assert {name.partition("licenses/")[2] for name in licences} == {"LICENSE", "data/MNIST/README.md"}
    assert {Path(name).suffix for name in library} == {".py", ".js", ".css", ".mplstyle"}
    assert "Requires-Dist: platformdirs" in metadata and "Provides-Extra: widgets" in metadata


USE_ALL = """
import json
import digitlib
from digitlib import checkpoints, plotting, recipes
from digitlib.data import load_part
from digitlib.storage import own_folder
from digitlib.widgets import DrawPad

recommended = checkpoints.load_recommended()
recipe = recipes.Recipe(name="tiny", title="a test", model="mlp", model_options={"hidden_sizes": [4]})
path = checkpoints.checkpoint_path(recipe)
checkpoints.save(path, recipes.build_model(recipe), recipe)
print(json.dumps({
    "package": digitlib.__file__,
    "recipe": recommended.recipe.name,
    "same": checkpoints.load_or_train("best").history == recommended.history,
    "saved": str(path),
    "loaded": checkpoints.load(path).recipe.name,
    "images": len(load_part("test")[0]),
    "unpacked": str(own_folder("data")),
    "pad": "createPad" in str(DrawPad(recommended.model)._esm),
    "drawn": bool(plotting.named_curves({"a": [1, 2]}, ylabel="loss")),
}))
"""


def test_everything_works_from_the_wheel(installed):
    run = installed("python", "-c", USE_ALL)
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout.splitlines()[-1])
    assert not Path(found["package"]).is_relative_to(ROOT) and "venv" in Path(found["package"]).parts
    assert (found["recipe"], found["same"], found["loaded"]) == ("best", True, "tiny")
    assert found["pad"] and found["drawn"]
    assert found["images"] == 10_000
    home, own = Path(found["package"].split("venv")[0]), Path(found["saved"]).parents[1]
    assert own.is_relative_to(home) and not own.is_relative_to(home / "venv")
    assert found["unpacked"] == str(own / "data")
    if sys.platform == "linux":
        assert own == home / ".local" / "share" / "digitlib"


def test_the_command_reads_a_picture_with_the_network_that_came_along(installed, tmp_path):
    image = Image.fromarray(255 - load_raw("validation")[0][0].numpy()).resize((280, 280))
    image.save(tmp_path / "digit.png")
    run = installed("digitlib", "predict", "--json", str(tmp_path / "digit.png"))
    assert (run.returncode, run.stderr) == (0, "")
    (found,) = json.loads(run.stdout)
    assert found["digit"] == load_raw("validation")[1][0]
    assert sum(found["probabilities"]) == pytest.approx(1, abs=1e-4)
