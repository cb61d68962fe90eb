"""The form of exercises and quizzes: complete, tied to an objective, from easy to hard, without leaning on each other.

As in test_notebooks.py, each guard returns complaints, and the tamperings show that each of them can fail.
"""

import ast
import re

import pytest
from nbformat.v4 import new_markdown_cell

from tests.guards import HINTS, NAMES, QUIZ, Tamperings, cell_of, notebook_with_exercises, read
from tools.exercises import LEVELS, PARTS, SOLUTION, TAGS, exercises, imports, part_of, tree

FEWEST_EXERCISES, MOST_EXERCISES = 2, 5
FEWEST_QUIZ_ITEMS, MOST_QUIZ_ITEMS = 2, 3
COLLAPSED = re.compile(r"<details><summary>(.+?)</summary>\n\n(.+?)\n\n</details>", re.S)


def objectives(notebook) -> set[str]:
    """Return the numbers of the objectives, as the second cell lists them."""
    return set(re.findall(r"^(\d)\. ", cell_of(notebook, "objectives").source, re.M))


def quiz(notebook) -> list:
    return [cell for cell in notebook.cells if cell.id.startswith("quiz-")]


def assigned(source: str) -> set[str]:
    """Return the names that a cell gives a value to, outside its functions."""
    names = set()
    for node in tree(source).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        else:
            names |= {
                n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
            }
    return names


def used(source: str) -> set[str]:
    return {n.id for n in ast.walk(tree(source)) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}


def lesson_code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code" and part_of(cell) is None]


# ---- the guards -----------------------------------------------------------------------------------------------


def has_complete_exercises(notebook):
    """Every cell that looks like a part of an exercise belongs to a whole one, with the right type and tags."""
    complaints = []
    found = exercises(notebook)
    whole = {f"{each.id}-{part}" for each in found for part in PARTS}
    for cell in notebook.cells:
        part, tags = part_of(cell), set(cell.metadata.get("tags", []))
        if part is None:
            if tags & set(TAGS.values()):
                complaints.append(
                    f"cell {cell.id} is tagged as part of an exercise, but its id is no <id>-<part>"
                )
            continue
        if cell.id not in whole:
            complaints.append(f"cell {cell.id} belongs to no complete exercise of five adjacent cells")
        if (cell.cell_type == "code") != (part in TAGS):
            complaints.append(f"cell {cell.id} is a {cell.cell_type} cell")
        elif part in TAGS and not (TAGS[part] in tags and len(tags & set(TAGS.values())) == 1):
            complaints.append(
                f"cell {cell.id} needs the tag {TAGS[part]}, and no other part's; it has {sorted(tags)}"
            )
    if not FEWEST_EXERCISES <= len(found) <= MOST_EXERCISES:
        complaints.append(f"expected {FEWEST_EXERCISES} to {MOST_EXERCISES} exercises, found {len(found)}")
    return complaints


def has_good_prompts(notebook):
    """Prompts have the heading, an objective that exists and a level; all objectives are met; a bug is hunted."""
    complaints, met, kinds, levels = [], set(), set(), []
    for each in exercises(notebook):
        heading = each.heading()
        if not heading:
            complaints.append(
                f"{each.id}: expected '### Exercise: … (N minutes)', then '*Objective N, easy.* …'"
            )
            continue
        met |= set(heading["objectives"].split(" and "))
        kinds.add(heading["kind"])
        levels.append(LEVELS.index(heading["level"]))
        if not 2 <= int(heading["minutes"]) <= 15:
            complaints.append(f"{each.id}: expected 2 to 15 minutes, found {heading['minutes']}")
    if met != objectives(notebook):
        complaints.append(f"the objectives are {sorted(objectives(notebook))}, exercises meet {sorted(met)}")
    if "Find the bug" not in kinds:
        complaints.append("no exercise asks to find the bug")
    if levels != sorted(levels):
        complaints.append(
            f"exercises should go from easy to hard, found {[LEVELS[level] for level in levels]}"
        )
    return complaints


def asks_its_check(notebook):
    """A check cell is one call, checks.<id>(name), of a name that stub and solution define."""
    complaints = []
    for each in exercises(notebook):
        if not re.fullmatch(rf"checks\.{each.id}\(\w+\)", each.check):
            complaints.append(
                f"{each.id}: expected the check cell checks.{each.id}(answer), found {each.check!r}"
            )
        elif not (each.answer_name in assigned(each.stub) and each.answer_name in assigned(each.solution)):
            complaints.append(f"{each.id}: stub and solution should both define {each.answer_name}")
    return complaints


def has_hints(notebook):
    complaints = []
    for each in exercises(notebook):
        hints = COLLAPSED.findall(each.hints)
        if not (2 <= len(hints) <= 3 and COLLAPSED.sub("", each.hints).strip() == ""):
            complaints.append(
                f"{each.id}: expected two or three hints, each in <details>, found {len(hints)}"
            )
        if [summary for summary, _ in hints] != [f"Hint {number}" for number in range(1, len(hints) + 1)]:
            complaints.append(f"{each.id}: expected the summaries Hint 1, Hint 2 …")
    return complaints


def keeps_solutions_out_of_hints(notebook):
    """No hint or prompt holds a line of the solution that says something."""
    complaints = []
    for each in exercises(notebook):
        given = {" ".join(line.split()) for line in each.stub.split("\n")}
        for line in each.solution.split("\n"):
            line = " ".join(line.split())
            if len(line) > 12 and line not in given and line in " ".join((each.prompt + each.hints).split()):
                complaints.append(f"{each.id}: its prompt or hints give away {line!r}")
    return complaints


def folds_its_solutions(notebook):
    """A solution comes last, is folded in every editor, and is never run: Run All checks the student's answer."""
    return [
        f"{each.id}: its solution should have the form of tools.exercises.SOLUTION, folded and in one block"
        for each in exercises(notebook)
        if cell_of(notebook, f"{each.id}-solution").source != SOLUTION.format(each.solution)
        or "```" in each.solution
    ]


def stores_blank_checks(notebook):
    return [
        f"{each.id}: the stored output of its check should say that nothing was attempted"
        for each in exercises(notebook)
        for cell in [cell_of(notebook, f"{each.id}-check")]
        if not any(
            output.get("data", {}).get("text/plain", "").startswith("○ Not attempted yet.")
            for output in cell.outputs
        )
    ]


def stands_by_itself(notebook):
    """Nothing in the lesson uses what an exercise defines, and an exercise uses the notebook's imports alone."""
    complaints, found = [], exercises(notebook)
    given = assigned(imports(notebook)) | {
        alias.asname or alias.name.split(".")[0]
        for node in tree(imports(notebook)).body
        for alias in node.names
    }
    lesson = set().union(*[assigned(cell.source) for cell in lesson_code(notebook)]) - given
    defined = set().union(*[assigned(each.stub) | assigned(each.solution) for each in found])
    for name in sorted(lesson & defined):
        complaints.append(f"the name {name} is given a value in the lesson and in an exercise")
    for each in found:
        for part in (each.stub, each.solution):
            for name in sorted(used(part) & (lesson | defined) - assigned(part) - local(part)):
                complaints.append(f"{each.id} uses {name}, which is no import of the notebook")
    for cell in lesson_code(notebook):
        for name in sorted(used(cell.source) & (defined - lesson) - local(cell.source)):
            complaints.append(f"cell {cell.id} uses {name}, which an exercise defines")
    return complaints


def local(source: str) -> set[str]:
    """Return the names that functions, loops and comprehensions of a cell give a value to."""
    cell = tree(source)
    names = {n.arg for n in ast.walk(cell) if isinstance(n, ast.arg)}
    return names | {n.id for n in ast.walk(cell) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}


def has_a_quiz(notebook):
    complaints, items = [], quiz(notebook)
    if not FEWEST_QUIZ_ITEMS <= len(items) <= MOST_QUIZ_ITEMS:
        complaints.append(f"expected {FEWEST_QUIZ_ITEMS} to {MOST_QUIZ_ITEMS} quiz items, found {len(items)}")
    for cell in items:
        options = COLLAPSED.findall(cell.source)
        verdicts = [feedback.split(".")[0].split(",")[0] for _, feedback in options]
        if not cell.source.startswith("**Quiz.** ") or cell.cell_type != "markdown":
            complaints.append(f"cell {cell.id}: expected a markdown cell that begins with '**Quiz.** '")
        if len(options) < 3 or verdicts.count("Right") != 1 or set(verdicts) != {"Right", "No"}:
            complaints.append(
                f"cell {cell.id}: expected three options or more in <details>, whose feedback begins with 'Right' "
                f"once and with 'No' else, found {verdicts}"
            )
        if any(len(feedback.split()) < 8 for _, feedback in options):
            complaints.append(f"cell {cell.id}: every option needs feedback of eight words or more")
    return complaints


GUARDS = [
    has_complete_exercises,
    has_good_prompts,
    asks_its_check,
    has_hints,
    keeps_solutions_out_of_hints,
    folds_its_solutions,
    stores_blank_checks,
    stands_by_itself,
    has_a_quiz,
]


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.__name__)
@pytest.mark.parametrize("name", NAMES)
def test_notebook(name, guard):
    assert guard(read(name)) == []


def test_there_are_thirty_exercises_with_ids_of_their_own():
    ids = [each.id for name in NAMES for each in exercises(read(name))]
    assert len(ids) >= 30 and len(set(ids)) == len(ids)


# ---- the same guards, on notebooks that were tampered with ------------------------------------------------------

tampering = Tamperings()


@tampering(has_complete_exercises, "no complete exercise")
def lose_the_hints(notebook):
    notebook.cells.remove(cell_of(notebook, "first-hints"))


@tampering(has_complete_exercises, "no complete exercise")
def put_a_cell_between(notebook):
    notebook.cells.insert(6, new_markdown_cell("Between.", id="between"))


@tampering(has_complete_exercises, "needs the tag exercise")
def untag_a_stub(notebook):
    cell_of(notebook, "first-stub").metadata.tags = ["hide-input"]


@tampering(has_complete_exercises, "is tagged as part")
def tag_a_lesson_cell(notebook):
    cell_of(notebook, "lesson").metadata.tags = ["check"]


@tampering(has_complete_exercises, "is a code cell")
def let_a_solution_run(notebook):
    cell_of(notebook, "first-solution").cell_type = "code"


@tampering(has_complete_exercises, "is a markdown cell")
def write_a_stub_in_markdown(notebook):
    cell_of(notebook, "first-stub").cell_type = "markdown"


@tampering(has_complete_exercises, "2 to 5 exercises, found 1")
def leave_out_an_exercise(notebook):
    del notebook.cells[4:9]


@tampering(has_good_prompts, "first: expected '### Exercise")
def leave_out_the_minutes(notebook):
    cell_of(notebook, "first-prompt").source = "### Exercise: a title\n\n*Objective 1, easy.* Write it."


@tampering(has_good_prompts, "2 to 15 minutes")
def ask_for_an_hour(notebook):
    cell = cell_of(notebook, "first-prompt")
    cell.source = cell.source.replace("5 minutes", "60 minutes")


@tampering(has_good_prompts, "exercises meet ['1', '2']")
def add_an_objective(notebook):
    cell_of(notebook, "objectives").source += "\n3. more."


@tampering(has_good_prompts, "find the bug")
def hunt_no_bug(notebook):
    cell = cell_of(notebook, "second-prompt")
    cell.source = cell.source.replace("Find the bug", "Exercise")


@tampering(has_good_prompts, "from easy to hard")
def begin_with_the_hard_one(notebook):
    cell = cell_of(notebook, "first-prompt")
    cell.source = cell.source.replace("easy", "hard")


@tampering(asks_its_check, "expected the check cell")
def check_something_else(notebook):
    cell_of(notebook, "first-check").source = "checks.second(first_it)"


@tampering(asks_its_check, "should both define")
def rename_the_solution(notebook):
    cell_of(notebook, "first-solution").source = SOLUTION.format("def other(images):\n    return images")


@tampering(has_hints, "two or three hints")
def give_one_hint(notebook):
    cell_of(notebook, "first-hints").source = HINTS.split("\n\n<details><summary>Hint 2")[0]


@tampering(has_hints, "two or three hints")
def give_a_hint_in_the_open(notebook):
    cell_of(notebook, "first-hints").source += "\n\nUse `dim=0`."


@tampering(has_hints, "the summaries")
def misname_a_hint(notebook):
    cell_of(notebook, "first-hints").source = HINTS.replace("Hint 2", "The answer")


@tampering(keeps_solutions_out_of_hints, "give away")
def give_the_answer_away(notebook):
    cell = cell_of(notebook, "first-hints")
    cell.source = cell.source.replace("Use its `dim`.", "`return  torch.tensor(images).sum(dim=0)`")


@tampering(folds_its_solutions, "folded")
def show_a_solution(notebook):
    cell = cell_of(notebook, "first-solution")
    cell.source = cell.source.removeprefix("<details><summary>Solution</summary>").removesuffix("</details>")


@tampering(folds_its_solutions, "one block")
def say_more_than_the_solution(notebook):
    cell = cell_of(notebook, "first-solution")
    cell.source = cell.source.replace("    return", "```\n\nand\n\n```python\n    return")


@tampering(stores_blank_checks, "nothing was attempted")
def store_a_verdict(notebook):
    cell_of(notebook, "first-check").outputs[0].data["text/plain"] = "✔ Passed. Well."


@tampering(stands_by_itself, "an exercise defines")
def use_an_answer_in_the_lesson(notebook):
    cell_of(notebook, "lesson").source = "total = first_it([1])"


@tampering(stands_by_itself, "no import of the notebook")
def use_the_lesson_in_an_answer(notebook):
    solved = "def first_it(images):\n    return total + images"
    cell_of(notebook, "first-solution").source = SOLUTION.format(solved)


@tampering(stands_by_itself, "in the lesson and in an exercise")
def define_a_name_twice(notebook):
    cell_of(notebook, "lesson").source = "def first_it(images):\n    return 1"


@tampering(has_a_quiz, "quiz items, found 1")
def leave_out_a_quiz_item(notebook):
    del notebook.cells[-1]


@tampering(has_a_quiz, "'Right'")
def have_two_right_options(notebook):
    cell_of(notebook, "quiz-one").source = QUIZ.replace("No.", "Right.")


@tampering(has_a_quiz, "feedback of eight words")
def give_no_feedback(notebook):
    cell_of(notebook, "quiz-one").source = QUIZ.replace(
        "No, because of what was said in the section above.", "No."
    )


@tampering(has_a_quiz, "begins with")
def write_a_quiz_in_another_form(notebook):
    cell_of(notebook, "quiz-one").source = QUIZ.removeprefix("**Quiz.** ")


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.__name__)
def test_no_guard_complains_of_an_notebook_with_exercises(guard):
    assert guard(notebook_with_exercises()) == []


@pytest.mark.parametrize("change, guard, complaint", tampering)
def test_tampering_is_found(change, guard, complaint):
    notebook = notebook_with_exercises()
    change(notebook)
    assert complaint in "\n".join(guard(notebook))


def test_every_guard_can_fail():
    assert {param.values[1] for param in tampering} == set(GUARDS)
