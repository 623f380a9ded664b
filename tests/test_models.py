"""The networks: parameters as in the papers, names as in torchvision, and each can learn a few examples."""

from __future__ import annotations

import hashlib
import math

import numpy as np
import pytest
from tolerance import assert_close, assert_same

import tensorlite as tl
from tensorlite import models, nn
from tensorlite.errors import ArgumentError, DTypeError, ShapeError, TraceError
from tensorlite.nn import functional as F

#: Numbers in parameters, and a digest of the names and shapes of torchvision's state dict (of 0.29).
TORCHVISION = {
    "alexnet": (61_100_840, "12a60b133d7b54dc"),
    "vgg11": (132_863_336, "67a7eb563529a90c"),
    "vgg13": (133_047_848, "06fdc111ee6d2ed8"),
    "vgg16": (138_357_544, "26a44a8d3cab16c6"),
    "vgg19": (143_667_240, "2ae6c231664ee367"),
    "vgg11_bn": (132_868_840, "fed2755038a74a3e"),
    "vgg13_bn": (133_053_736, "1320c3bf26ac7c28"),
    "vgg16_bn": (138_365_992, "e238651c9f050805"),
    "vgg19_bn": (143_678_248, "091b7131554bd4ea"),
    "googlenet": (13_004_888, "014a9157e8afb3c4"),
    "resnet18": (11_689_512, "867b8d8ae95f5a28"),
    "resnet34": (21_797_672, "d6dbfa48843359d6"),
    "resnet50": (25_557_032, "2d5b8870b35e1530"),
    "resnet101": (44_549_160, "83dfe6275c4f12d9"),
    "resnet152": (60_192_808, "f11957010a75631a"),
    "resnext50_32x4d": (25_028_904, "d244da4517087cbb"),
    "resnext101_32x8d": (88_791_336, "2769c97a01e491d3"),
    "resnext101_64x4d": (83_455_272, "5619a876105ebe46"),
    "wide_resnet50_2": (68_883_240, "4facef4f573fef70"),
    "wide_resnet101_2": (126_886_696, "c3229706cc9819c7"),
    "mobilenet_v2": (3_504_872, "b37e2a9130e6341b"),
    "vit_b_16": (86_567_656, "55c98fb7dfaa7147"),
    "vit_b_32": (88_224_232, "92dcc4e70de3c1ec"),
    "vit_l_16": (304_326_632, "37fc453bb09256f2"),
    "vit_l_32": (306_535_400, "496dc4237f508a1b"),
}

#: Networks that torchvision has not, by the numbers of their papers or of those who published weights.
OTHERS = {
    "lenet5": (lambda: models.lenet5(), 61_706),
    "resnet20": (lambda: models.resnet20(), 269_722),
    "resnet56": (lambda: models.resnet56(), 853_018),
    "resnet110": (lambda: models.resnet110(), 1_727_962),
    "gpt2": (lambda: models.gpt2(), 124_439_808),
    "unet": (lambda: models.UNet(1, 2, padding=0, batch_norm=False), 31_030_658),
    "vae": (lambda: models.VAE(), 652_824),
    "dcgan generator": (lambda: models.DCGANGenerator(), 3_576_704),
    "dcgan discriminator": (lambda: models.DCGANDiscriminator(), 2_765_568),
    "lstm": (lambda: models.LSTMLanguageModel(96, 256, 256), 96 * 256 + 8 * 256 * 256 + 8 * 256 + 257 * 96),
}


def count(model: nn.Module) -> int:
    return sum(p.size for p in model.parameters())


def digest(model: nn.Module) -> str:
    lines = sorted(f"{name} {list(x.shape)}" for name, x in model.state_dict().items())
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


@pytest.fixture
def quick_init(monkeypatch):
    """Large networks are counted, not run: they need no random numbers."""
    for name in ("kaiming_normal_", "kaiming_uniform_", "normal_", "uniform_", "trunc_normal_", "xavier_uniform_"):
        original = getattr(nn.init, name)

        def quick(tensor, *arguments, _original=original, **options):
            return tensor if tensor.size > 1 << 20 else _original(tensor, *arguments, **options)
        monkeypatch.setattr(nn.init, name, quick)


@pytest.mark.usefixtures("quick_init")
@pytest.mark.parametrize("name", TORCHVISION)
def test_names_shapes_and_counts_are_torchvisions(name):
    model = getattr(models, name)()
    assert (count(model), digest(model)) == TORCHVISION[name]


@pytest.mark.usefixtures("quick_init")
@pytest.mark.parametrize("name", OTHERS)
def test_counts_are_the_published_ones(name):
    build, expected = OTHERS[name]
    assert count(build()) == expected


def classes(model, *shape, steps=60, lr=1e-3):
    """Loss before and after some steps on four random examples."""
    tl.manual_seed(0)
    x, t = tl.randn(4, *shape), tl.tensor([0, 1, 2, 1])
    return fit(lambda: F.cross_entropy(_scores(model(x)), t), model.parameters(), steps, lr)


def _scores(out):
    return out.logits if isinstance(out, models.GoogLeNetOutputs) else out


def fit(loss, parameters, steps=60, lr=1e-3):
    """The loss at first, and the least of the last steps."""
    optimizer = tl.optim.Adam(parameters, lr=lr)

    @tl.jit
    def step():
        optimizer.zero_grad()
        value = loss()
        value.backward()
        optimizer.step()
        return value
    found = [step().item() for _ in range(steps)]
    return found[0], min(found[-5:])


def tokens(model, steps=60):
    x = tl.tensor(np.random.default_rng(0).integers(0, 12, (4, 9)))
    score = lambda out: (out[0] if isinstance(out, tuple) else out).flatten(0, 1)
    return fit(lambda: F.cross_entropy(score(model(x[:, :-1])), x[:, 1:].flatten()), model.parameters(), steps, 1e-2)


def _unet():
    model, x = models.UNet(1, 3, width=8, depth=2), tl.randn(2, 1, 16, 16)
    t = tl.tensor(np.random.default_rng(0).integers(0, 3, (2, 16, 16)))
    t = tl.repeat(tl.repeat(t[:, ::4, ::4], 4, axis=1), 4, axis=2)
    return fit(lambda: F.cross_entropy(model(x), t), model.parameters(), 150, 1e-2)


def _vae():
    model = models.VAE(64, 64, 4)
    x = tl.tensor((np.random.default_rng(0).random((4, 64)) > 0.5).astype(np.float32))
    return fit(lambda: model.loss(x, *model(x)), model.parameters(), 300, 1e-2)


def _gan():
    """The critic learns to tell four images from four of the generator's, and the generator to please it."""
    generator, critic = models.DCGANGenerator(8, 8, 1, 8), models.DCGANDiscriminator(8, 1, 8)
    real, noise = tl.randn(4, 1, 8, 8).tanh(), tl.randn(4, 8, 1, 1)
    with tl.no_grad():
        fake = generator(noise)
    both = tl.concat([real, fake])
    wanted = tl.concat([tl.ones(4), tl.zeros(4)])
    first, last = fit(lambda: F.binary_cross_entropy_with_logits(critic(both), wanted), critic.parameters(), lr=1e-2)
    assert last < first / 4
    critic.eval()
    return fit(lambda: F.binary_cross_entropy_with_logits(critic(generator(noise)), tl.ones(4)),
               generator.parameters(), 150, 1e-2)


LEARN = {
    "MLP": lambda: classes(models.MLP(6, [16, 16, 3], norm_layer=nn.LayerNorm), 6, lr=1e-2),
    "LeNet": lambda: classes(models.LeNet(3), 1, 28, 28),
    "AlexNet": lambda: classes(models.AlexNet(3, dropout=0.0), 3, 64, 64, steps=24, lr=1e-4),
    "VGG": lambda: classes(models.VGG(((8,), (16,)), True, 3, dropout=0.0), 3, 16, 16, steps=12, lr=1e-4),
    "GoogLeNet": lambda: classes(models.GoogLeNet(3, aux_logits=True, dropout=0.0), 3, 64, 64, steps=15),
    "ResNet": lambda: classes(models.ResNet(models.BasicBlock, (1, 1, 1, 1), 3), 3, 32, 32, steps=15),
    "ResNeXt": lambda: classes(models.ResNet(models.Bottleneck, (1, 1, 1, 1), 3, True, 8, 4), 3, 32, 32, steps=25),
    "resnet20": lambda: classes(models.resnet20(3), 3, 16, 16, steps=25),
    "MobileNetV2": lambda: classes(models.MobileNetV2(3, 0.35, dropout=0.0), 3, 32, 32, steps=30),
    "ViT": lambda: classes(models.VisionTransformer(8, 4, 2, 2, 16, 32, num_classes=3), 3, 8, 8, lr=1e-2),
    "GPT": lambda: tokens(models.GPT(12, 8, 2, 2, 16, dropout=0.0)),
    "LSTM": lambda: tokens(models.LSTMLanguageModel(12, 16, 16, tie_weights=True), 150),
    "UNet": _unet, "VAE": _vae, "DCGAN": _gan,
}


@pytest.mark.parametrize("name", LEARN)
def test_each_learns_a_few_examples_by_heart(name):
    tl.manual_seed(1)
    first, last = LEARN[name]()
    assert last < first / 4, (first, last)


def test_gpt_draws_what_it_has_learned():
    tl.manual_seed(0)
    model = models.GPT(12, 8, 1, 2, 32, dropout=0.0)
    text = tl.tensor([[0, 1, 2, 3, 4, 5, 6, 7, 8]])
    fit(lambda: F.cross_entropy(model(text[:, :-1]).flatten(0, 1), text[:, 1:].flatten()), model.parameters(), 80, 1e-2)
    model.eval()
    assert_same(model.generate(text[:, :1], 8, temperature=0), text.numpy())
    assert_same(model.generate(text[:, :1], 8, top_k=1), text.numpy())
    drawn = model.generate(text[:, :2], 20, generator=tl.Generator().manual_seed(0))
    assert drawn.shape == (1, 22)
    assert drawn.max().item() < 12
    assert_same(drawn, model.generate(text[:, :2], 20, generator=tl.Generator().manual_seed(0)).numpy())


def test_gpt_sees_nothing_of_what_comes_later():
    model = models.GPT(12, 8, 2, 2, 16).eval()
    tokens_ = tl.tensor([[1, 2, 3, 4, 5]])
    changed = tl.tensor([[1, 2, 3, 9, 9]])
    assert_close(model(tokens_)[:, :3].detach(), model(changed)[:, :3].detach().numpy())


def test_unet_of_the_paper_loses_its_borders():
    model = models.UNet(1, 2, width=2, padding=0, batch_norm=False)
    assert model(tl.zeros((1, 1, 188, 188))).shape == (1, 2, 4, 4)


def test_vae_draws_images():
    assert models.VAE(16, 8, 2).sample(3).shape == (3, 16)


@pytest.mark.parametrize(("call", "error", "text"), [
    (lambda: models.GPT(10, heads=5, width=16), ArgumentError, "GPT: width 16 does not divide among 5 heads"),
    (lambda: models.GPT(10, 4, 1, 2, 8)(tl.zeros((1, 5), dtype=tl.int64)), ShapeError,
     "GPT: 5 tokens are more than the context of 4"),
    (lambda: models.VisionTransformer(10, 4, 1, 2, 8, 8), ArgumentError,
     "VisionTransformer: images of 10 do not divide into patches of 4"),
    (lambda: models.VisionTransformer(8, 4, 1, 2, 8, 8)(tl.zeros((1, 3, 12, 8))), ShapeError,
     "VisionTransformer: images must be 8x8"),
    (lambda: models.DCGANGenerator(size=48), ArgumentError,
     "DCGANGenerator: size must be a power of two from 8 on, not 48"),
    (lambda: models.LSTMLanguageModel(9, 4, 8, tie_weights=True), ArgumentError,
     "LSTMLanguageModel: tied weights need embedding == hidden, not 4 and 8"),
    (lambda: tl.summary(models.VAE()), ArgumentError, "summary: what is the model called with?"),
    (lambda: tl.summary(lambda x: x, (1,)), DTypeError, "summary: takes a module, not function"),
    (lambda: tl.summary(_Asking(), (2,)), TraceError, None),
])
def test_misuse_is_named(call, error, text):
    with pytest.raises(error) as caught:
        call()
    assert text is None or str(caught.value).split("\n")[0] == text


class _Asking(nn.Module):
    def forward(self, x):
        return x * 2 if x.sum() > 0 else x


def test_summaries_count_what_published_tables_say():
    found = tl.summary(models.resnet18(), (1, 3, 224, 224), depth=1)
    assert found.parameters == 11_689_512
    assert math.isclose(found.flops, 2 * 1.814e9, rel_tol=0.01)
    assert len(found.layers) == 76
    assert len(str(found).split("\n")) == 2 + 11 + 3


def test_a_summary_leaves_the_model_as_it_is():
    model = nn.Sequential(nn.BatchNorm1d(3), nn.Dropout(), nn.Linear(3, 2), nn.Linear(2, 2))
    model[3].weight.requires_grad = False
    before, drawn = {k: v.numpy().copy() for k, v in model.state_dict().items()}, tl.get_rng_state().numpy()
    found = tl.summary(model, tl.ones((4, 3)))
    for name, x in model.state_dict().items():
        assert_same(x, before[name])
    assert_same(tl.get_rng_state(), drawn)
    assert (found.parameters, found.trainable, found.buffers) == (20, 16, 7)
    assert "20 parameters, 4 of them fixed, 7 numbers in buffers; 112 B" in str(found)
    assert [layer.depth for layer in found.layers] == [0, 1, 1, 1, 1]
