"""What a fork brings along fits the project: workflows, templates, containers and hooks call what there is.

Their services cannot be run here; CONTRIBUTING says so.
"""

import json
import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.specifiers import SpecifierSet

from digitlib.checks import CHECKS
from tests.guards import read
from tools.exercises import exercises
from tools.notebooks import find

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
TEMPLATES = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
CALLERS = [
    *WORKFLOWS,
    ROOT / "Dockerfile",
    ROOT / ".devcontainer/devcontainer.json",
    ROOT / ".pre-commit-config.yaml",
]


def load(path: Path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def unknown(text: str) -> list[str]:
    """Return the targets of make and the tools that a text calls, and that do not exist."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    text = "\n".join(lines)
    made = re.findall(r"(?<=[\s\"&])make ([a-z-]+)", text)
    tools = [name.replace(".", "/") + ".py" for name in re.findall(r"-m (tools\.\w+)", text)]
    tools += re.findall(r"\btools/\w+\.py", text)
    return [name for name in made if name not in TARGETS] + [
        name for name in tools if not (ROOT / name).is_file()
    ]


@pytest.mark.parametrize("path", CALLERS, ids=lambda path: path.name)
def test_only_what_there_is_is_called(path):
    text = path.read_text(encoding="utf-8")
    assert unknown(text) == []
    assert "make " in text


def test_a_call_of_what_there_is_not_is_found():
    text = 'run: make books\n"make install"\nx && python -m tools.nothing\n# make nothing\ntools/no.py'
    assert unknown(text) == ["books", "tools/nothing.py", "tools/no.py"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_has_jobs_that_end_and_may_do_no_more_than_they_need(path):
    workflow = load(path)
    assert workflow["permissions"] == {"contents": "read"} and True in workflow  # YAML takes "on" for a yes
    for job in workflow["jobs"].values():
        assert job["runs-on"].endswith("-latest") and job["timeout-minutes"] <= 90
        assert set(job.get("needs", "").split()) <= set(workflow["jobs"])
        for step in job["steps"]:
            assert ("uses" in step) != ("run" in step)
            assert re.fullmatch(r"actions/[a-z-]+@v\d+", step.get("uses", "actions/none@v1"))


def test_the_workflows_use_every_system_and_the_first_and_last_python():
    text = "".join(path.read_text(encoding="utf-8") for path in WORKFLOWS)
    assert set(re.findall(r"runs-on: (\w+)", text)) == {"ubuntu", "macos", "windows"}
    pythons = re.findall(r'"(3\.\d+)"', text)
    allowed = SpecifierSet(PROJECT["requires-python"])
    assert [python for python in pythons if python not in allowed] == []
    ends = min(pythons, key=lambda each: int(each[2:])), max(pythons, key=lambda each: int(each[2:]))
    beyond = [f"3.{int(ends[0][2:]) - 1}", f"3.{int(ends[1][2:]) + 1}"]
    assert [python for python in beyond if python in allowed] == []


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_an_issue_template_asks_for_something(path):
    template = load(path)
    assert template["name"] and template["description"]
    ids = [field["id"] for field in template["body"]]
    assert len(set(ids)) == len(ids)
    assert any(field.get("validations", {}).get("required") for field in template["body"])


def test_the_version_is_the_same_everywhere():
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## (\S+)", changes, re.MULTILINE)[1]
    assert newest == load(ROOT / "CITATION.cff")["version"] == PROJECT["version"]


def test_the_devcontainer_is_json_with_a_python_that_is_served():
    container = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text(encoding="utf-8"))
    assert container["image"].rpartition(":")[2] in SpecifierSet(PROJECT["requires-python"])
    images = re.findall(
        r"^FROM python:([\d.]+)", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert images and all(image in SpecifierSet(PROJECT["requires-python"]) for image in images)


# ---- the syllabus ------------------------------------------------------------------------------------------------


def test_the_syllabus_names_every_lesson_once_a_plan_with_its_minutes_and_exercises():
    page = (ROOT / "book" / "syllabus.md").read_text(encoding="utf-8")
    for plan in page.split("\n## ")[1:3]:
        assert sorted(re.findall(r"\(\.\./notebooks/(\w+)\.ipynb\)", plan)) == [
            path.stem for path in find([])
        ]
    rows = dict(re.findall(r"^\| (\d+)\. .*\| (\d+) \|", page, re.MULTILINE))
    said = {
        path.stem: re.search(r"About (\d+) minutes", read(path.stem).cells[0].source)[1] for path in find([])
    }
    assert rows == {str(int(name[:2])): minutes for name, minutes in said.items()}
    for name in CHECKS:
        assert page.count(f"`{name}`") == 1, name
    assert sum(len(exercises(read(path.stem))) for path in find([])) == len(CHECKS)
