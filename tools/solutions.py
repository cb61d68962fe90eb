"""Write every exercise with its solution and the misconceptions that its check knows into one page for instructors.

Example:
    python -m tools.solutions    writes dist/solutions.md, which git ignores and no book contains
"""

import sys
from pathlib import Path

from digitlib.checks.engine import DECLARED
from tools.assignment import points
from tools.exercises import ROOT, Exercise, NotebookError, all_exercises

PAGE = ROOT / "dist" / "solutions.md"


def main(page: Path = PAGE) -> int:
    """Write the page; return an exit code."""
    try:
        text = "# Solutions, for instructors\n" + "".join(map(section, all_exercises()))
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(text, encoding="utf-8")
    except (NotebookError, OSError) as error:
        print(f"tools/solutions.py: {error}", file=sys.stderr)
        return 1
    print(page)
    return 0


def section(exercise: Exercise) -> str:
    """Return one exercise's part of the page."""
    kind, number = exercise.heading()["kind"], exercise.notebook[:2]
    lines = [f"\n## {number}. {exercise.heading()['title']} (`{exercise.id}`)\n"]
    lines += [f"{kind}, {points(exercise)} of 3 points.\n", exercise.prompt.partition("\n\n")[2], ""]
    lines += ["```python", exercise.solution, "```\n"]
    if exercise.id in DECLARED and (hints := DECLARED[exercise.id].wrong):
        lines += ["What else comes, and what the check says then:\n", *(f"- {hint}" for hint in hints)]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
