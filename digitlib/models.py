"""The networks: one class an architecture, sizes as arguments.

Every network takes normalised images, float32 (N, 1, 28, 28), and returns logits, float32 (N, 10); other images raise
a ValueError. `logits.softmax(dim=1)` makes probabilities; the loss wants the logits themselves, see notebook 06.
"""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from digitlib.data import check_normalised as check_images

NUM_CLASSES = 10
IMAGE_SIZE = 28


class MLP(nn.Module):
    """Dense layers with ReLU between them, on the image as one vector of 784 numbers.

    Args:
        hidden_sizes: units of each hidden layer; three of them make four dense layers.
    Taught in notebook 05.
    """

    def __init__(self, hidden_sizes: Sequence[int] = (256, 128, 64)):
        super().__init__()
        sizes = [IMAGE_SIZE * IMAGE_SIZE, *hidden_sizes, NUM_CLASSES]
        self.layers = nn.ModuleList(
            nn.Linear(size_in, size_out) for size_in, size_out in zip(sizes, sizes[1:])
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return logits, float32 (N, 10); softmax(dim=1) makes them probabilities."""
        check_images(images)
        x = images.flatten(1)  # (N, 784)
        for layer in self.layers[:-1]:
            x = F.relu(layer(x))
        return self.layers[-1](x)


class CNN(nn.Module):
    """Two convolutions with max-pooling, then two dense layers; 21,840 parameters at the sizes given.

    Args:
        num_channels: feature maps of the two convolutions.
        hidden_size: units of the first dense layer.
        dropout: share of the second convolution's maps, and of the dense layer's units, that training leaves out.
    Taught in notebook 05. Source: `mnist/main.py` of pytorch/examples, after LeCun et al. 1998.
    """

    def __init__(self, num_channels: Sequence[int] = (10, 20), hidden_size: int = 50, dropout: float = 0.5):
        super().__init__()
        first, second = num_channels
        self.conv1 = nn.Conv2d(1, first, kernel_size=5)
        self.conv2 = nn.Conv2d(first, second, kernel_size=5)
        self.dropout2d = nn.Dropout2d(dropout)
        self.fc1 = nn.Linear(second * 4 * 4, hidden_size)
        self.dropout = nn.Dropout(dropout)
        self.fc2 = nn.Linear(hidden_size, NUM_CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits, float32 (N, 10); softmax(dim=1) makes them probabilities."""
        check_images(images)
        x = F.max_pool2d(F.relu(self.conv1(images)), 2)  # (N, 10, 12, 12)
        x = F.max_pool2d(F.relu(self.dropout2d(self.conv2(x))), 2)  # (N, 20, 4, 4)
        x = x.flatten(1)  # (N, 320)
        x = self.dropout(F.relu(self.fc1(x)))  # (N, 50)
        return self.fc2(x)


class RNN(nn.Module):
    """One simple recurrent layer that reads the image as 28 timesteps, row by row, then a linear output.

    An `nn.LSTM` or `nn.GRU` of the same sizes may take the place of `rnn`.

    Args:
        hidden_size: units of the recurrent layer.
    Taught in notebook 05. Source: Elman 1990; the orthogonal start follows Saxe et al. 2014.
    """

    def __init__(self, hidden_size: int = 128):
        super().__init__()
        self.rnn = nn.RNN(IMAGE_SIZE, hidden_size, batch_first=True)
        # An orthogonal matrix keeps lengths, so that the first rows are not forgotten before the last one is read.
        nn.init.orthogonal_(self.rnn.weight_hh_l0)
        self.fc = nn.Linear(hidden_size, NUM_CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits, float32 (N, 10); softmax(dim=1) makes them probabilities."""
        check_images(images)
        rows = images.squeeze(1)  # (N, 28 timesteps, 28 pixels)
        output, hidden = self.rnn(rows)  # output: (N, 28, hidden_size), the state after each row
        return self.fc(output[:, -1])


class ConvNet(nn.Module):
    """3×3 convolutions, each with batch normalisation, ReLU and, where asked, max-pooling; then one linear layer.

    Without padding each convolution takes a pixel off every side; little of MNIST's ink lies there.

    Args:
        num_channels: feature maps of each convolution.
        pooled: which convolutions, counted from 0, are followed by 2×2 max-pooling.
    Raises:
        ValueError: the maps shrink to nothing.
    Taught in notebook 10. Source: Ioffe and Szegedy 2015 for batch normalisation.
    """

    def __init__(self, num_channels: Sequence[int] = (16, 32, 64), pooled: Sequence[int] = (0, 1)):
        super().__init__()
        layers, num_in, size = [], 1, IMAGE_SIZE
        for number, num_out in enumerate(num_channels):
            # Without a bias: the normalisation would take it away again, and adds one of its own.
            layers += [nn.Conv2d(num_in, num_out, 3, bias=False), nn.BatchNorm2d(num_out), nn.ReLU()]
            num_in, size = num_out, size - 2
            if number in pooled:
                layers.append(nn.MaxPool2d(2))
                size //= 2
        if size < 1:
            raise ValueError(f"expected maps of 1×1, got none after {len(num_channels)} layers; take fewer")
        self.features = nn.Sequential(*layers)
        self.fc = nn.Linear(num_in * size * size, NUM_CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits, float32 (N, 10); softmax(dim=1) makes them probabilities."""
        check_images(images)
        return self.fc(self.features(images).flatten(1))  # features: (N, channels, size, size)


MODELS = {"mlp": MLP, "cnn": CNN, "rnn": RNN, "convnet": ConvNet}


def count_parameters(model: nn.Module) -> int:
    """Return how many numbers training can change. Taught in notebook 05."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
