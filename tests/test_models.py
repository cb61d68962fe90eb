"""The networks: shapes, parameter counts by formula, gradients everywhere, and an RNN by hand."""

import pytest
import torch
import torch.nn.functional as F

from digitlib.models import CNN, MLP, MODELS, RNN, ConvNet, count_parameters


@pytest.fixture
def images():
    return torch.randn(5, 1, 28, 28, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", MODELS)
def test_every_model_returns_ten_logits_an_image_and_no_probabilities(name, images):
    logits = MODELS[name]()(images)
    assert logits.shape == (5, 10)
    assert logits.dtype == torch.float32
    assert (logits < 0).any()
    assert not torch.allclose(logits.exp().sum(dim=1), torch.ones(5)), "log-probabilities are not logits"


def test_parameter_counts_match_the_formulas():
    dense = [(784, 256), (256, 128), (128, 64), (64, 10)]
    assert count_parameters(MLP()) == sum(size_in * size_out + size_out for size_in, size_out in dense)
    assert count_parameters(CNN()) == (25 * 1 * 10 + 10) + (25 * 10 * 20 + 20) + (320 * 50 + 50) + (
        50 * 10 + 10
    )
    assert count_parameters(CNN()) == 21_840
    assert count_parameters(RNN()) == 128 * 28 + 128 * 128 + 2 * 128 + 128 * 10 + 10


def test_the_convnet_has_the_parameters_and_the_maps_of_the_formulas(images):
    # 28 -> 26 -> 13 -> 11 -> 5 -> 3: a 3×3 convolution without padding takes two, pooling halves
    convolutions = 9 * (1 * 16 + 16 * 32 + 32 * 64)
    assert count_parameters(ConvNet()) == convolutions + 2 * (16 + 32 + 64) + 64 * 3 * 3 * 10 + 10
    deeper = ConvNet(num_channels=[4, 5, 6, 7], pooled=[2])
    assert deeper.features(images).shape == (5, 7, 9, 9)  # 26, 24, 22 -> 11, 9
    with pytest.raises(ValueError, match="expected maps of 1×1.*14 layers"):
        ConvNet(num_channels=[2] * 14, pooled=[])


def test_the_cnn_pools_what_relu_and_dropout_left(images):
    torch.manual_seed(0)
    model = CNN().eval()
    x = F.conv2d(images, model.conv1.weight, model.conv1.bias).clamp(min=0)
    x = x.view(5, 10, 12, 2, 12, 2).amax(dim=(3, 5))
    x = F.conv2d(x, model.conv2.weight, model.conv2.bias).clamp(min=0)
    x = x.view(5, 20, 4, 2, 4, 2).amax(dim=(3, 5)).reshape(5, 320)
    x = (x @ model.fc1.weight.T + model.fc1.bias).clamp(min=0)
    torch.testing.assert_close(model(images), x @ model.fc2.weight.T + model.fc2.bias)


def test_the_convnet_normalises_over_the_batch_in_training_and_by_running_averages_afterwards(images):
    torch.manual_seed(0)
    model = ConvNet(num_channels=[3], pooled=[])
    convolution, normalise, _ = model.features
    maps = convolution(images)
    mean, variance = maps.mean(dim=(0, 2, 3)), maps.var(dim=(0, 2, 3), correction=0)
    expected = (maps - mean[:, None, None]) / (variance[:, None, None] + normalise.eps).sqrt()
    torch.testing.assert_close(model.features(images), expected.relu())
    model.eval()
    alone = torch.cat([model(images[i : i + 1]) for i in range(len(images))])
    torch.testing.assert_close(model(images), alone)  # an image no longer depends on its batch


def test_sizes_are_arguments(images):
    assert len(MLP(hidden_sizes=(30,)).layers) == 2
    assert CNN(num_channels=(3, 7), hidden_size=9)(images).shape == (5, 10)
    assert RNN(hidden_size=11)(images).shape == (5, 10)


def test_count_parameters_leaves_frozen_ones_out():
    model = MLP(hidden_sizes=())
    model.layers[0].bias.requires_grad_(False)
    assert count_parameters(model) == 7_840


@pytest.mark.parametrize("name", MODELS)
def test_every_parameter_gets_a_gradient(name, images):
    torch.manual_seed(0)
    model = MODELS[name]()
    model(images).square().sum().backward()
    for parameter_name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, parameter_name


def test_cnn_drops_out_in_training_mode_only(images):
    torch.manual_seed(0)
    model = CNN()
    assert not torch.equal(model(images), model(images))
    model.eval()
    assert torch.equal(model(images), model(images))


def test_rnn_equals_a_loop_over_rows(images):
    model = RNN(hidden_size=16)
    w_in, w_hidden = model.rnn.weight_ih_l0, model.rnn.weight_hh_l0
    bias = model.rnn.bias_ih_l0 + model.rnn.bias_hh_l0
    state = torch.zeros(5, 16)
    for row in range(28):
        state = torch.tanh(images[:, 0, row] @ w_in.T + state @ w_hidden.T + bias)
    torch.testing.assert_close(model(images), model.fc(state))


@pytest.mark.parametrize("layer", [torch.nn.LSTM, torch.nn.GRU])
def test_an_lstm_or_a_gru_may_take_the_place_of_the_simple_layer(images, layer):
    model = RNN(hidden_size=16)
    model.rnn = layer(28, 16, batch_first=True)
    output, _ = model.rnn(images[:, 0])
    torch.testing.assert_close(model(images), model.fc(output[:, 27]))


def test_rnn_starts_with_an_orthogonal_recurrent_matrix():
    weight = RNN(hidden_size=20).rnn.weight_hh_l0
    torch.testing.assert_close(weight @ weight.T, torch.eye(20), atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(
    "shape, advice",
    [
        ((28, 28), "image[None, None]"),
        ((4, 28, 28), "images[:, None]"),
        ((4, 3, 28, 28), "normalise(images)"),
        ((4, 1, 32, 32), "normalise(images)"),
        ((4, 784), "image[None, None]"),
    ],
)
def test_wrong_shapes_are_named_with_the_next_step(name, shape, advice):
    with pytest.raises(ValueError) as error:
        MODELS[name]()(torch.zeros(shape))
    assert "(N, 1, 28, 28)" in str(error.value)
    assert str(shape) in str(error.value)
    assert advice in str(error.value)


def test_uint8_images_are_sent_to_normalise():
    for shape in ((2, 1, 28, 28), (2, 28, 28), (28, 28)):
        with pytest.raises(ValueError, match="torch.uint8.*normalise"):
            MLP()(torch.zeros(shape, dtype=torch.uint8))
