"""Train the network that is part of digitlib, and store it in data/weights (make weights).

It is an ordinary checkpoint of a recipe, whole with its seed: who runs this again gets the same network, up to how a
processor rounds. `digitlib.checkpoints.load_recommended` loads it, and a wheel carries it along.

Example:
    python -m tools.weights
"""

import argparse
from pathlib import Path

from digitlib import recipes
from digitlib.checkpoints import RECOMMENDED, load, save
from digitlib.storage import repository_folder


def main(arguments: list[str] | None = None) -> None:
    """Run the tool."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.parse_args(arguments)
    recipe = recipes.find(RECOMMENDED)
    print(f"training {recipe.name}: {recipe.title}, seed {recipe.seed}", flush=True)
    path = repository_folder("data/weights") / f"{recipe.name}.pth"
    train_and_store(recipe, path)
    accuracy = load(path).metrics["validation_accuracy"]
    print(f"{path}: {path.stat().st_size:,} bytes, validation accuracy {accuracy:.2%}")


def train_and_store(recipe: recipes.Recipe, path: Path) -> None:
    """Train the recipe and save it.

    Raises:
        KeyboardInterrupt: the training was interrupted; nothing is stored.
    """
    model, history = recipes.train(recipe)
    if history.interrupted:
        raise KeyboardInterrupt
    save(path, model, recipe, history=history)


if __name__ == "__main__":
    main()
