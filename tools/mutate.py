"""Test the checks of the exercises: break each solution in many small ways, and count how many breaks are noticed.

Examples:
    python -m tools.mutate                all exercises
    python -m tools.mutate as_batch -v    one of them, with every mutant that its check lets pass

A mutant is the solution with one change: another operator, a number that is one off, a statement left out, an argument
left out, mean for sum. One that does not run at all is not counted. One that passes either shows a hole in the
check, or does the same as the solution; EQUIVALENT lists those, each with its reason.
"""

import argparse
import ast
import copy
import sys
from collections.abc import Iterator

import torch

from digitlib.checks import CHECKS, core
from tools.exercises import Exercise, all_exercises, answer

# Mutants that do what the solution does, each as (exercise, the mutated line), under the reason.
EQUIVALENT: dict[str, list[tuple[str, str]]] = {
    "a tensor of one number is as good as the number": [
        ("average_loss", "mean = F.cross_entropy(some_logits, some_labels)"),
        ("keep_dropout", "accuracies.append(right.double().mean())"),
        ("leave_one_out", "return (labels[nearest] == labels).double().mean()"),
        ("paired_p_value", "only_first = ((first == labels) & (second != labels)).sum()"),
        ("paired_p_value", "only_second = ((first != labels) & (second == labels)).sum()"),
        ("validation_loss", "total_loss += F.cross_entropy(model(images), labels) * len(labels)"),
        ("weakest_class", "weakest = recall.argmin()"),
    ],
    "tensors of one number are as good as numbers": [
        ("difference_of_means", "return (other.mean() - baseline.mean(), variance.sqrt().item())"),
        ("difference_of_means", "return ((other.mean() - baseline.mean()).item(), variance.sqrt())"),
        ("search_result", "winner = validation.sum(dim=1).argmax()"),
        ("search_result", "return (winner, fresh[winner].double().mean())"),
        ("best_rate", "final_losses.append(loss_function(parameters))"),
        ("weakest_class", "row = confusion[weakest]"),
    ],
    "the graph only grows longer": [
        ("best_rate", "parameters = (parameters - rate * gradient).requires_grad_()"),
    ],
    "all gradients have one shape": [
        ("momentum_steps", "memory = torch.zeros_like(gradients[-1])"),
    ],
    "no value of start changes": [
        ("best_rate", "parameters = start.requires_grad_()"),
    ],
    "the sum with float32 is float32": [
        ("brightened", "batch = images[:, None]"),
    ],
    "any seed will do, as long as it is the same for all rates": [
        ("compare_rates", "torch.manual_seed(-1)"),
        ("compare_rates", "torch.manual_seed(1)"),
    ],
    "every entry is overwritten": [
        ("convolve", "result = torch.ones(rows, columns)"),
    ],
    "it seeds and returns a generator too, the one that torch shares": [
        ("fair_curves", "curves[name] = train(model, inputs, torch.manual_seed(seed))"),
    ],
    "big is the default since Python 3.11": [
        (
            "idx_lengths",
            "return [int.from_bytes(header[4 + 4 * axis:8 + 4 * axis]) for axis in range(num_axes)]",
        ),
    ],
    "the matrix is symmetric": [
        ("leave_one_out", "nearest = distances.argmin(dim=0)"),
    ],
    "the last term is zero": [
        (
            "paired_p_value",
            "as_many = sum((math.comb(num_split, heads) for heads in range(winner, num_split + 2)))",
        ),
    ],
    "weights_only=True is the default since torch 2.6": [
        ("opens_safely", "torch.load(path, map_location='cpu')"),
        ("read_with_file", "content = torch.load(path, map_location='cpu')"),
    ],
    "a division makes floats": [
        ("prepared", "new = new_images[:, None] / 255"),
        ("prepared", "train = train_images[:, None] / 255"),
    ],
    "the only channel is the last one too": [
        ("to_pixels", "pixels = (batch[:, -1] * std + mean) * 255"),
    ],
}

OPERATORS = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.MatMult: ast.Mult,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.GtE,
    ast.GtE: ast.Lt,
    ast.Gt: ast.LtE,
    ast.LtE: ast.Gt,
    ast.And: ast.Or,
    ast.Or: ast.And,
}
NAMES = {
    "mean": "sum",
    "sum": "mean",
    "argmax": "argmin",
    "argmin": "argmax",
    "max": "min",
    "min": "max",
    "exp": "log",
    "log": "exp",
    "train": "eval",
    "eval": "train",
    "std": "var",
    "var": "std",
    "zeros": "ones",
    "ones": "zeros",
    "floor": "ceil",
    "ceil": "floor",
}


def main(arguments: list[str] | None = None) -> int:
    """Run the tool; return 1 where a check notices less than nine in ten of its mutants."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("exercises", nargs="*", metavar="EXERCISE", help="their ids (default: all)")
    parser.add_argument("-v", "--verbose", action="store_true", help="show every mutant that passes")
    options = parser.parse_args(arguments)
    known = {exercise.id: exercise for exercise in all_exercises()}
    if unknown := set(options.exercises) - set(known):
        parser.error(
            f"expected ids of exercises, got {', '.join(sorted(unknown))}; they are {', '.join(known)}"
        )
    torch.optim.Adam([torch.zeros(1, requires_grad=True)])  # the first one loads much: not on a mutant's time
    core.SECONDS = 3.0  # a mutant whose loop never ends should not hold everything up
    total = total_caught = 0
    weak = []
    for name in options.exercises or known:
        caught, passing, same = examine(known[name])
        total, total_caught = total + caught + len(passing), total_caught + caught
        if caught < 0.9 * (caught + len(passing)):
            weak.append(name)
        print(
            f"{name}: {caught} of {caught + len(passing)} noticed, {same} do the same as the solution",
            flush=True,
        )
        for line in passing if options.verbose or name in weak else []:
            print(f"    passes: {line}")
    print(f"{total_caught} of {total} mutants noticed ({total_caught / max(total, 1):.1%})")
    return 1 if weak else 0


def examine(exercise: Exercise) -> tuple[int, list[str], int]:
    """Return how many mutants the check notices, the changed lines of those it lets pass, and the number of equals."""
    caught, passing, same = 0, [], 0
    for source, line in mutants(exercise.solution):
        if any((exercise.id, line) in known for known in EQUIVALENT.values()):
            same += 1
            continue
        try:
            given = answer(exercise, source)
        except Exception:  # it does not even run: nobody would ask for a check
            continue
        if CHECKS[exercise.id](given).status == core.PASSED:
            passing.append(line)
        else:
            caught += 1
    return caught, passing, same


def mutants(source: str) -> Iterator[tuple[str, str]]:
    """Yield each mutant of a program, as a text, and the line that is changed in it, as it reads then."""
    tree = ast.parse(source)
    original = ast.unparse(tree).split("\n")
    seen = {ast.unparse(tree)}
    for number in range(sum(1 for _ in ast.walk(tree))):
        for change in CHANGES:
            mutant = copy.deepcopy(tree)
            node = list(ast.walk(mutant))[number]
            for _ in change(node, mutant):
                text = ast.unparse(ast.fix_missing_locations(mutant))
                if text not in seen:
                    seen.add(text)
                    yield text, _changed_line(original, text.split("\n"))
                break


def swap_operator(node: ast.AST, tree: ast.AST) -> Iterator[None]:
    """Flip an operator: + and -, < and >=, and and or."""
    if isinstance(node, ast.BinOp | ast.AugAssign | ast.BoolOp) and type(node.op) in OPERATORS:
        node.op = OPERATORS[type(node.op)]()
        yield
    elif isinstance(node, ast.Compare) and type(node.ops[0]) in OPERATORS:
        node.ops[0] = OPERATORS[type(node.ops[0])]()
        yield
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.Not):
        _replace(tree, node, node.operand)
        yield


def change_number(node: ast.AST, tree: ast.AST) -> Iterator[None]:
    """Change a number by one (another axis, another size), or turn True into False."""
    if isinstance(node, ast.Constant) and isinstance(node.value, bool):
        node.value = not node.value
        yield
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        node.value += 1
        yield


def lower_number(node: ast.AST, tree: ast.AST) -> Iterator[None]:
    """Make a number smaller by one."""
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        node.value -= 1
        yield


def rename(node: ast.AST, tree: ast.AST) -> Iterator[None]:
    """Call a function's counterpart: sum for mean, eval for train."""
    if isinstance(node, ast.Attribute) and node.attr in NAMES:
        node.attr = NAMES[node.attr]
        yield
    elif isinstance(node, ast.Name) and node.id in NAMES:
        node.id = NAMES[node.id]
        yield


def drop_statement(node: ast.AST, tree: ast.AST) -> Iterator[None]:
    """Leave out a statement; a return goes with it, and the body of a with or if stays."""
    if isinstance(node, ast.Expr | ast.Assign | ast.AugAssign | ast.Return) and not _is_docstring(node):
        _replace(tree, node, ast.Pass())
        yield
    elif isinstance(node, ast.With | ast.If):
        _replace(tree, node, node.body)
        yield


def drop_argument(node: ast.AST, tree: ast.AST) -> Iterator[None]:
    """Leave out the last keyword argument of a call, or else its last argument."""
    if isinstance(node, ast.Call) and node.keywords:
        node.keywords.pop()
        yield
    elif isinstance(node, ast.Call) and node.args and isinstance(node.func, ast.Attribute):
        node.args.pop()
        yield


def drop_method(node: ast.AST, tree: ast.AST) -> Iterator[None]:
    """Leave out the call of a method without arguments: x for x.exp()."""
    if (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and not (node.args or node.keywords)
    ):
        _replace(tree, node, node.func.value)
        yield


CHANGES = [swap_operator, change_number, lower_number, rename, drop_statement, drop_argument, drop_method]


def _replace(tree: ast.AST, node: ast.AST, other: ast.AST | list) -> None:
    """Put another node, or several, in the place of a node."""
    for parent in ast.walk(tree):
        for field, value in ast.iter_fields(parent):
            if value is node:
                setattr(parent, field, other)
                return
            if isinstance(value, list) and any(each is node for each in value):
                position = next(i for i, each in enumerate(value) if each is node)
                value[position : position + 1] = other if isinstance(other, list) else [other]
                return


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _changed_line(original: list[str], mutated: list[str]) -> str:
    """Return the first line that differs, as it reads in the mutant."""
    for old, new in zip(original, mutated):
        if old != new:
            return new.strip()
    return (mutated + original)[min(len(original), len(mutated))].strip()


if __name__ == "__main__":
    sys.exit(main())
