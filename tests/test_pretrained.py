"""A network that others trained scores here what it scores with them."""

from __future__ import annotations

import numpy as np
import pytest
from sources import DATA, NO_DATA
from tolerance import assert_close

import tensorlite as tl
from tensorlite.data import CIFAR10, transforms

WEIGHTS = DATA / "models/resnet20_cifar10.safetensors"
pytestmark = pytest.mark.skipif(not WEIGHTS.is_file() or not (DATA / "cifar10").is_dir(), reason=NO_DATA)
#: Of the 1000 test images, how many the network takes for what they are.
CORRECT = 915


@pytest.fixture(scope="module")
def images():
    """The first 1000 test images of CIFAR-10 as the network wants them, and their labels."""
    pytest.importorskip("PIL", reason="the demo extra brings pillow, which reads the images")
    prepare = transforms.Compose([transforms.ToTensor(),
                                  transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])])
    test_set = CIFAR10(DATA / "cifar10", train=False, transform=prepare)
    return tl.stack([image for image, _ in test_set]), test_set.targets


@pytest.fixture(scope="module")
def network():
    model = tl.models.resnet20()
    model.load_state_dict(tl.load(WEIGHTS))
    return model.eval()


def test_resnet20_scores_on_cifar10_what_its_authors_say(network, images):
    @tl.jit
    @tl.no_grad()
    def classify(x):
        return network(x).argmax(1)

    x, labels = images
    found = np.concatenate([classify(x[start:start + 250]).numpy() for start in range(0, len(x), 250)])
    assert (found == labels).sum() == CORRECT


def test_compiled_and_eager_it_gives_pytorchs_scores(network, images):
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle")
    x = images[0][:20]
    with tl.no_grad():
        eager, compiled = network(x), tl.jit(network)(x)
    state = {name: torch.tensor(value.numpy()) for name, value in network.state_dict().items()}
    expected = resnet20_by(torch.nn.functional, state, torch.tensor(x.numpy()))
    for found in (eager, compiled):  # 20 layers of sums of up to 9 x 64 terms
        assert_close(found.numpy(), expected.numpy(), terms=20 * 9 * 64)


def resnet20_by(functional, state, x):
    """ResNet-20 as the paper has it, on a state dict: shortcuts take every second pixel and add channels of zeros."""
    def conv(x, name, stride=1):
        bn = name.replace("conv", "bn")
        x = functional.conv2d(x, state[f"{name}.weight"], stride=stride, padding=1)
        return functional.batch_norm(x, *(state[f"{bn}.{part}"] for part in
                                          ("running_mean", "running_var", "weight", "bias")))

    x = functional.relu(conv(x, "conv1"))
    for layer in (1, 2, 3):
        for block in range(3):
            stride, name = 2 if layer > 1 and block == 0 else 1, f"layer{layer}.{block}"
            y = conv(functional.relu(conv(x, f"{name}.conv1", stride)), f"{name}.conv2")
            x = x[:, :, ::stride, ::stride]
            added = (y.shape[1] - x.shape[1]) // 2
            x = functional.relu(y + functional.pad(x, (0, 0, 0, 0, added, added)))
    return functional.linear(x.mean((2, 3)), state["linear.weight"], state["linear.bias"])
