"""The plain way of many tutorials, which the benchmark compares with: a network trained in a process of its own.

torchvision's transforms image by image, a DataLoader, the network and the optimizer as torch's documentation writes
them, and of digitlib only what both ways share: split, first weights, sizes, the loop over the batches.

Example:
    python -m tools.plain '{"recipe": {"name": "cnn", ...}}'    see `tools.bench.side_by_side`
"""

import json
import sys
import time

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset

from digitlib.data import data_loader
from digitlib.models import CNN, RNN
from digitlib.recipes import Recipe, build_model
from digitlib.training import EpochRecord, train_one_epoch


class PlainCNN(CNN):
    """The convolutional network as it is mostly written: dropout before pooling, and a new tensor from each ReLU."""

    def forward(self, images: Tensor) -> Tensor:
        """Return logits, float32 (N, 10)."""
        x = F.relu(F.max_pool2d(self.conv1(images), 2))  # (N, 10, 12, 12)
        x = F.relu(F.max_pool2d(self.dropout2d(self.conv2(x)), 2))  # (N, 20, 4, 4)
        x = self.dropout(F.relu(self.fc1(x.flatten(1))))  # (N, 50)
        return self.fc2(x)


class PlainRNN(RNN):
    """The recurrent network through torch's own layer, which returns the states after all rows."""

    def forward(self, images: Tensor) -> Tensor:
        """Return logits, float32 (N, 10)."""
        outputs, _ = self.rnn(images.squeeze(1))  # (N, 28 timesteps, hidden_size)
        return self.fc(outputs[:, -1])


def plain_model(recipe: Recipe) -> nn.Module:
    """Return the recipe's network, untrained: the same first weights as `build_model` gives after the same seed."""
    plain = {"cnn": PlainCNN, "rnn": PlainRNN}.get(recipe.model)
    return plain(**recipe.model_options) if plain else build_model(recipe)


def plain_optimizer(recipe: Recipe, model: nn.Module) -> torch.optim.Optimizer:
    """Return the recipe's optimizer as torch's documentation writes it, whatever `build_optimizer` adds to it."""
    kind = torch.optim.SGD if recipe.optimizer == "sgd" else torch.optim.Adam
    return kind(model.parameters(), lr=recipe.learning_rate)


def plain_epoch(
    model: nn.Module, optimizer, train_loader, validation_loader, clip_norm=None
) -> tuple[EpochRecord, float]:
    """Train for an epoch and validate as most tutorials do; return what ours keeps, and the validation accuracy."""
    record = train_one_epoch(model, train_loader, optimizer, clip_norm=clip_norm)
    model.eval()
    num_correct = num_images = 0
    with torch.no_grad():
        for images, labels in validation_loader:
            num_correct += (model(images).argmax(dim=1) == labels).sum().item()
            num_images += len(labels)
    return record, num_correct / num_images


def loader(part: str, batch_size: int, few: dict[str, int], **options) -> DataLoader:
    """Return the DataLoader of a part; where `few` says how many, of its first images alone, in order."""
    made = data_loader(part, batch_size, **options)
    return DataLoader(Subset(made.dataset, range(few[part])), batch_size) if few else made


def main() -> int:
    """Train an epoch for each line that comes, and answer with its seconds and the validation accuracy after it."""
    order = json.loads(sys.argv[1])
    recipe, few = Recipe(**order["recipe"]), order["few"]
    train_loader = loader("train", recipe.batch_size, few, shuffle=True, seed=recipe.seed)
    validation_loader = loader("validation", recipe.batch_size, few)
    torch.manual_seed(recipe.seed)
    model = plain_model(recipe)
    optimizer = plain_optimizer(recipe, model)
    for _ in sys.stdin:
        start = time.perf_counter()
        _, accuracy = plain_epoch(model, optimizer, train_loader, validation_loader, recipe.clip_norm)
        print(json.dumps([time.perf_counter() - start, accuracy]), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
