"""The set-up agrees with itself: pyproject.toml, requirements.lock, environment.yml, the Makefile and the README.

The Makefile is run with stand-ins for Python and uv that only write down how they were called.
"""

import hashlib
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tools import machine, student

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
ENVIRONMENT = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "data/MNIST/README.md",
    *sorted((ROOT / "book").glob("*.md")),
]

# The systems that the lock serves, as pip's markers see them.
SYSTEMS = {
    "linux": ("posix", "Linux", "x86_64"),
    "darwin": ("posix", "Darwin", "arm64"),
    "win32": ("nt", "Windows", "AMD64"),
}
PYTHONS = ("3.11", "3.12", "3.13", "3.14")


# ---- pyproject.toml, the lock and environment.yml ------------------------------------------------------------------


def lines_that_are_no_pins(lock: str) -> list[str]:
    """Return what is neither a comment nor `name==version ; marker` with hashes: addresses, paths, ranges, options."""
    pin = re.compile(r"[a-z0-9.-]+==[0-9][0-9a-z.+!-]*( ; [^;@/]+?)?( +--hash=sha256:[0-9a-f]{64})+")
    return [line for line in entries(lock) if not pin.fullmatch(line)]


def entries(lock: str) -> list[str]:
    """Return the lock's entries, each with its hashes in one line."""
    lines = lock.replace(" \\\n", " ").splitlines()
    return [line for line in lines if line.strip() and line.lstrip()[0] != "#"]


def pins(lock: str, system: str, python: str) -> dict[str, Version]:
    """Return what the lock installs on one system with one Python."""
    os_name, platform_system, machine = SYSTEMS[system]
    here = {
        **default_environment(),
        "sys_platform": system,
        "os_name": os_name,
        "platform_system": platform_system,
        "platform_machine": machine,
        "python_version": python,
        "python_full_version": f"{python}.9",
    }
    found = {}
    for line in entries(lock):
        requirement = Requirement(line.partition(" --hash")[0])
        if requirement.marker is None or requirement.marker.evaluate(here):
            assert requirement.name not in found, (
                f"{requirement.name} is pinned twice for Python {python} on {system}"
            )
            (specifier,) = requirement.specifier
            found[canonicalize_name(requirement.name)] = Version(specifier.version)
    return found


def unmet(requirements: list[str], pinned: dict[str, Version]) -> list[str]:
    """Return the requirements that the pinned versions do not satisfy."""
    asked = [Requirement(text) for text in requirements]
    return [
        str(requirement)
        for requirement in asked
        if (version := pinned.get(canonicalize_name(requirement.name))) is None
        or version not in requirement.specifier
    ]


def asked_for() -> list[str]:
    """Return every requirement in pyproject.toml: the library's, the extras', and what builds it.

    An extra may take in another one, as digitlib[name].
    """
    extras = PROJECT["project"]["optional-dependencies"]
    own = f"{PROJECT['project']['name']}["
    return [
        *PROJECT["project"]["dependencies"],
        *(text for extra in extras.values() for text in extra if not text.startswith(own)),
        *PROJECT["build-system"]["requires"],
    ]


def test_the_lock_holds_exact_versions_and_nothing_else():
    assert lines_that_are_no_pins(LOCK) == []


def test_any_other_line_in_the_lock_is_found():
    others = [
        "numpy>=2",
        "numpy",
        "numpy==2.*",
        "--index-url https://example.org/simple",
        "-e .",
        "numpy @ https://example.org/numpy.whl",
        "numpy @ file:///wheels/numpy.whl",
        "/wheels/numpy.whl",
        "numpy==2.4.6 --hash=sha256:00",
        "numpy==2.4.6",
    ]
    sound = (
        "uv==0.13.8 ; os_name == 'nt' \\\n    --hash=sha256:"
        + 64 * "0"
        + " \\\n    --hash=sha256:"
        + 64 * "1"
    )
    lock = "\n".join(["# a comment", sound, "    # via", *others])
    assert lines_that_are_no_pins(lock) == others


def test_the_lock_satisfies_pyproject_on_every_system():
    found = {(s, python): unmet(asked_for(), pins(LOCK, s, python)) for s in SYSTEMS for python in PYTHONS}
    assert {where: missing for where, missing in found.items() if missing} == {}


def test_an_unmet_requirement_is_found():
    pinned = pins("numpy==1.26.4\ntorch==2.15.0 ; sys_platform == 'linux'\n", "darwin", "3.11")
    assert unmet(["numpy>=2.0", "torch>=2.13", "NumPy<2"], pinned) == ["numpy>=2.0", "torch>=2.13"]


def test_torch_and_torchvision_are_a_pair():
    pinned = pins(LOCK, "linux", "3.11")
    wanted = [
        text for text in importlib.metadata.requires("torchvision") if Requirement(text).name == "torch"
    ]
    assert wanted
    assert unmet(wanted, pinned) == []
    for name in ("torch", "torchvision"):  # what is installed may be the CPU's build of it: 2.15.0+cpu
        assert Version(Version(importlib.metadata.version(name)).public) == pinned[name]


def test_conda_and_binder_get_the_lock_with_the_build_for_processors(tmp_path):
    """environment.yml brings Python and uv alone; postBuild, run with stand-ins, installs the rest."""
    python, *others = ENVIRONMENT["dependencies"]
    name, _, version = python.partition("=")
    assert (name, others) == ("python", ["pip", "uv"]) and version in PYTHONS
    assert os.access(ROOT / "postBuild", os.X_OK) or os.name == "nt"
    if shutil.which("awk") is None or os.name == "nt":
        return
    for name in ("python", "uv"):
        (tmp_path / name).write_text(
            '#!/bin/sh\necho "$(basename "$0") $*" >> "$LOG"\n'
            'for last; do :; done\ntest "$(basename "$0")" = python || cp "$last" "$LOG.lock"\n'
        )
        (tmp_path / name).chmod(0o755)
    log = tmp_path / "log"
    environment = {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "LOG": str(log)}
    subprocess.run(["sh", "postBuild"], cwd=ROOT, env=environment, check=True)
    calls = log.read_text().splitlines()
    assert [call.split()[0] for call in calls] == ["python", "uv", "python", "python"]
    assert calls[0].endswith("tools/machine.py")
    assert f"--python {tmp_path / 'python'} --torch-backend cpu -r" in calls[1]
    assert "pip install --no-deps --no-build-isolation -e ." in calls[2]
    installed = entries((tmp_path / "log.lock").read_text())
    assert 0 < len(installed) < len(entries(LOCK))
    assert not any(line.startswith(("nvidia", "cuda", "triton")) for line in installed)


# ---- which Pythons, which machines ----------------------------------------------------------------------------


def test_every_text_names_the_same_pythons():
    lowest, highest = PYTHONS[0], PYTHONS[-1]
    above = f"3.{int(highest.split('.')[1]) + 1}"
    assert PROJECT["project"]["requires-python"] == f">={lowest},<{above}"
    assert machine.python_range((ROOT / "pyproject.toml").read_text(encoding="utf-8")) == (11, 14)
    for text in (README, student.README, (ROOT / "book/how_to_use.md").read_text(encoding="utf-8")):
        assert re.findall(r"Python (3\.\d+)( to 3\.\d+| or later)?", text) == [(lowest, f" to {highest}")]


APPLE, INTEL = ("Darwin", "arm64", "14.0"), ("Darwin", "x86_64", "15.1")
FITTING = [("Linux", "x86_64", ""), ("Linux", "aarch64", ""), ("Windows", "amd64", ""), APPLE]


def test_a_machine_that_has_packages_is_let_in():
    for python in PYTHONS:
        version = (*map(int, python.split(".")), 0)
        assert {machine.complaint(version, *each) for each in FITTING} == {""}
    assert machine.complaint(*machine.here()) == ""


@pytest.mark.parametrize(
    "python, where, words",
    [
        ((3, 10, 4), FITTING[0], "expected Python 3.11 to 3.14, got: Python 3.10.4"),
        ((3, 15, 0), APPLE, "expected Python 3.11 to 3.14, got: Python 3.15.0"),
        ((3, 12, 0), INTEL, "got: macOS on x86_64; if the Mac has Apple silicon"),
        ((3, 12, 0), ("Darwin", "arm64", "13.6.1"), "expected macOS 14 or later, got: 13.6.1"),
        ((3, 12, 0), ("Windows", "arm64", ""), "got: Windows on arm64; install Python for 64-bit Intel"),
        ((3, 12, 0), ("Windows", "win32", ""), "got: Windows on win32"),
        ((3, 12, 0), ("Linux", "riscv64", ""), "on riscv64; the notebooks also run in the browser"),
    ],
)
def test_any_other_python_or_machine_is_refused_in_one_line(python, where, words):
    said = machine.complaint(python, *where)
    assert words in said and "\n" not in said


def test_the_library_and_its_command_are_installed():
    assert importlib.metadata.version("digitlib") == PROJECT["project"]["version"]
    (script,) = importlib.metadata.entry_points(group="console_scripts", name="digitlib")
    assert script.value == PROJECT["project"]["scripts"]["digitlib"]
    assert callable(script.load())


def test_what_pyproject_names_exists():
    setuptools = PROJECT["tool"]["setuptools"]
    folders = {name: name.replace(".", "/") for name in setuptools["packages"]}
    folders |= setuptools.get("package-dir", {})
    names = [PROJECT["project"]["readme"], *PROJECT["project"]["license-files"], *folders.values()]
    assert [name for name in names if not (ROOT / name).exists()] == []


# ---- the Makefile -----------------------------------------------------------------------------------------------

needs_make = pytest.mark.skipif(
    shutil.which("make") is None or os.name == "nt", reason="needs make and a shell"
)

# Plays Python, uv and every other command of .venv/bin: it notes its arguments, and makes what `-m venv` would make.
STAND_IN = """#!/bin/sh
echo "$(basename "$0") $*" >> "$LOG"
case "$FAIL_AT" in ?*) case "$*" in *"$FAIL_AT"*) exit 1;; esac;; esac
if [ "$1 $2" = "-m venv" ]; then
    rm -rf "$4"; mkdir -p "$4/bin"
    for name in python uv ruff jupyter-book; do cp "$0" "$4/bin/$name"; done
fi
"""


def targets() -> dict[str, str]:
    """Return {target: what `make help` says of it}."""
    return dict(re.findall(r"^([a-z-]+):.*?## (.+)$", MAKEFILE, flags=re.MULTILINE))


@pytest.fixture
def project(tmp_path):
    """Lay out the files of a set-up, without the installation, and return a function that runs make there."""
    (tmp_path / "tools").mkdir()
    for name in ("Makefile", "pyproject.toml", "requirements.lock", "tools/machine.py", "tools/cpu.awk"):
        shutil.copy(ROOT / name, tmp_path / name)
    python = tmp_path / "python3"
    python.write_text(STAND_IN)
    python.chmod(0o755)

    class Project:
        folder = tmp_path
        log = tmp_path / "log"
        stamp = tmp_path / ".venv/installed-in"

        def make(self, *arguments, **environment) -> subprocess.CompletedProcess:
            """Run make; self.calls then holds what the stand-ins were told, less the probing."""
            self.log.write_text("")
            kept = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
            run = subprocess.run(
                ["make", f"PYTHON={python}", *arguments],
                cwd=tmp_path,
                capture_output=True,
                text=True,
                env={"FAIL_AT": "", **kept, "LOG": str(self.log), **environment},
            )
            calls = self.log.read_text().splitlines()
            self.calls = [call for call in calls if " -c " not in call]
            return run

    return Project()


@needs_make
def test_a_bare_make_lists_every_target(project):
    shown = project.make().stdout
    phony = re.search(r"^\.PHONY: (help.*)$", MAKEFILE, flags=re.MULTILINE)[1].split()
    assert sorted(targets()) == sorted(phony)
    for target, summary in targets().items():
        assert re.search(rf"^  make {target} +{re.escape(summary)}$", shown, flags=re.MULTILINE)
    assert project.calls == []
    assert project.make("help").stdout == shown


@needs_make
def test_every_target_can_be_made(project):
    for name in ("_config.yml", "_toc.yml"):
        shutil.copy(ROOT / name, project.folder)
    for target in targets():
        run = project.make("-n", target)
        assert run.returncode == 0, run.stderr


def test_the_targets_that_are_promised_are_there():
    promised = {"book", "test", "lab", "lint", "notebooks", "bench", "clean", "help", "results", "lock"}
    promised |= {"student", "assignment", "new-exercise", "mutants"}
    assert promised <= set(targets())


def test_every_make_command_that_is_mentioned_exists():
    for page in [ROOT / "Makefile", *PAGES]:
        mentioned = re.findall(
            r"(?:`|^    |: )make ([a-z-]+)", page.read_text(encoding="utf-8"), flags=re.MULTILINE
        )
        assert set(mentioned) <= set(targets()), page.name


def test_every_recipe_of_installation_says_the_kernel_how_threads_wait():
    """The Makefile, the README without make, and conda's."""
    command = "python -m ipykernel install --sys-prefix --env OMP_WAIT_POLICY PASSIVE"
    texts = [MAKEFILE, README, (ROOT / "postBuild").read_text(encoding="utf-8")]
    assert [text.count(command) for text in texts] == [1, 1, 1]


@needs_make
def test_cleaning_removes_caches_and_nothing_else(project):
    kept = [
        "notebooks/01.ipynb",
        "notebooks copy/01.ipynb",
        "copy/a b\nnotebooks/07.ipynb",
        "dist/class/gradebook.db",
    ]
    kept += [
        ".git/__pycache__/hook",
        "notebooks/__pycache__ of mine/x",
        "notes/.ipynb_checkpoints",
        ".venv/__pycache__/x",
    ]
    gone = [
        "notebooks copy/.ipynb_checkpoints/01.ipynb",
        "notebooks/__pycache__/x",
        "-rf/a 'b'/__pycache__/x",
        "_build/x",
    ]
    gone += ["copy/a b\nnotebooks/.ipynb_checkpoints/x"]
    also_gone = [
        "checkpoints/x.pth",
        "dist/student/README.md",
        "dist/student.zip",
        "data/MNIST/raw/a b-ubyte",
    ]
    for name in kept + gone + also_gone:
        (project.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (project.folder / name).touch()
    assert project.make("clean").returncode == 0
    assert {name: (project.folder / name).exists() for name in kept + also_gone + gone} == (
        dict.fromkeys(kept + also_gone, True) | dict.fromkeys(gone, False)
    )
    assert project.make("distclean").returncode == 0
    assert [name for name in kept if not (project.folder / name).exists()] == [".venv/__pycache__/x"]
    assert [name for name in also_gone if (project.folder / name).exists()] == []


@needs_make
def test_the_environment_is_made_once(project):
    assert project.make("lint").returncode == 0
    assert [call.split(" /")[0] for call in project.calls] == [
        "python3 tools/machine.py",
        "python3 -m venv --clear .venv",
        "python -m pip install --quiet --disable-pip-version-check -r .venv/uv.lock",
        "uv pip install --python .venv/bin/python --compile-bytecode -r requirements.lock",
        "uv pip install --python .venv/bin/python --no-deps --no-build-isolation -e .",
        "python -m ipykernel install --sys-prefix --env OMP_WAIT_POLICY PASSIVE",
        "ruff check .",
        "ruff format --check .",
    ]
    (uv,) = entries((project.folder / ".venv/uv.lock").read_text())
    assert uv in entries(LOCK) and uv.startswith("uv==")
    project.make("lint")
    assert project.calls == ["ruff check .", "ruff format --check ."]


@needs_make
def test_a_newer_lock_is_installed_into_the_same_environment(project):
    project.make("lint")
    os.utime(project.folder / "requirements.lock", (2e9, 2e9))
    project.make("lint")
    assert any("-r requirements.lock" in call for call in project.calls)
    assert not any("-m venv" in call for call in project.calls)


@needs_make
def test_an_installation_that_fails_is_taken_up_again(project):
    for step in ("-m venv", "-m pip install", "--compile-bytecode", "--no-deps"):
        shutil.rmtree(project.folder / ".venv", ignore_errors=True)
        assert project.make("lint", FAIL_AT=step).returncode != 0
        assert not project.stamp.exists()
        assert project.make("lint").returncode == 0
        assert any("--no-deps" in call for call in project.calls)


@needs_make
def test_an_environment_of_another_folder_is_made_anew(project):
    project.make("lint")
    project.stamp.write_text("/home/ada/digits\n")
    project.make("lint")
    assert "python3 -m venv --clear .venv" in project.calls


@needs_make
def test_the_cpu_build_is_taken_and_remembered(project):
    project.make("lint", "TORCH_BACKEND=cpu")
    (install,) = [call for call in project.calls if "--torch-backend" in call]
    assert install.endswith("--torch-backend cpu -r .venv/requirements.lock")
    filtered = entries((project.folder / ".venv/requirements.lock").read_text())
    whole = [line for line in entries(LOCK) if not line.startswith(("nvidia", "cuda", "triton"))]
    others = [line.partition(" --hash")[0].rstrip() for line in whole if line.startswith("torch")]
    assert [line.split("==")[0] for line in others] == ["torch", "torchvision"]
    assert filtered == [others.pop(0) if line.startswith("torch") else line for line in whole]
    os.utime(project.folder / "requirements.lock", (2e9, 2e9))
    project.make("lint")
    assert any("--torch-backend cpu" in call for call in project.calls)


@needs_make
def test_a_python_or_a_machine_that_does_not_fit_is_refused(project):
    older = project.folder / "older"
    older.write_text(
        f"#!{sys.executable}\nimport sys\nsys.path.insert(0, 'tools')\nimport machine\n"
        f"sys.exit(machine.complaint((3, 9, 18), *{FITTING[0]}))\n"
    )
    older.chmod(0o755)
    for python, found in ((older, "got: Python 3.9.18"), ("no-such-python", "not found")):
        run = project.make("book", f"PYTHON={python}")
        assert run.returncode != 0
        assert found in run.stdout + run.stderr
        assert "make book PYTHON=" in run.stdout
        assert not project.stamp.exists()


@needs_make
def test_a_python_without_venv_is_refused(project):
    assert project.make("book", FAIL_AT="ensurepip").returncode != 0
    assert "apt-get install python3-venv" in project.make("book", FAIL_AT="ensurepip").stdout


@needs_make
def test_the_book_is_built_when_its_sources_have_changed(project):
    for name in ("_config.yml", "_toc.yml"):
        shutil.copy(ROOT / name, project.folder)
    page = project.folder / "_build/html/index.html"

    def build():
        run = project.make("book")
        page.parent.mkdir(parents=True, exist_ok=True)
        page.touch()  # which the stand-in does not write
        return [call for call in project.calls if call.startswith("jupyter-book")], run.stdout

    assert build()[0] == ["jupyter-book build . -W -n --keep-going"]
    calls, said = build()
    assert calls == []
    assert said.rstrip().endswith(str(page))  # where the book is
    os.utime(project.folder / "_toc.yml", (2e9, 2e9))
    assert len(build()[0]) == 1
    assert project.make("book", FAIL_AT="build .").returncode != 0
    assert not page.exists()  # so that the next `make book` builds again


# ---- the pages ----------------------------------------------------------------------------------------------------


def links_to_nowhere(page: Path, text: str) -> list[str]:
    """Return the relative links of a Markdown page, and its links to headings of its own, that lead nowhere."""
    headings = {
        re.sub(r"[^\w -]", "", line.lstrip("# ").lower()).replace(" ", "-")
        for line in text.splitlines()
        if line[:1] == "#"
    }
    missing = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, heading = target.partition("#")
        if re.match(r"https?:|mailto:", target):
            continue
        if (path and not (page.parent / path).exists()) or (not path and heading not in headings):
            missing.append(target)
    return missing


def test_every_link_leads_somewhere():
    found = {page.name: links_to_nowhere(page, page.read_text(encoding="utf-8")) for page in PAGES}
    assert {page: missing for page, missing in found.items() if missing} == {}


def test_a_link_to_nowhere_is_found():
    text = "# A page\n[a](README.md) [b](gone.md) [c](#a-page) [d](#gone) [e](https://example.org)"
    assert links_to_nowhere(ROOT / "page.md", text) == ["gone.md", "#gone"]


def test_the_checksums_in_the_data_s_readme_are_those_of_the_archives():
    readme = (ROOT / "data/MNIST/README.md").read_text(encoding="utf-8")
    archives = sorted((ROOT / "data/MNIST/raw").glob("*.gz"))
    assert len(archives) == 4
    for archive in archives:
        content = archive.read_bytes()
        md5, sha256 = hashlib.md5(content).hexdigest(), hashlib.sha256(content).hexdigest()
        assert f"| `{archive.name}` | {len(content)} | `{md5}` | `{sha256}` |" in readme
