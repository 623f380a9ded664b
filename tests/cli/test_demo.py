"""The demo: it learns, shows what came out, and goes on from where it was stopped as if never stopped."""

from __future__ import annotations

import csv
import re
import signal
import subprocess
import sys

import numpy as np
import pytest

import tensorlite as tl
from tensorlite.cli import main
from tensorlite.cli.networks import digits_network, lenet
from tensorlite.cli.pictures import count_confusions, draw_mistakes
from tensorlite.cli.training import Evaluation
from tensorlite.data import Digits, write_idx

pytest.importorskip("sklearn", reason="the demo extra brings the images")
pytest.importorskip("matplotlib", reason="the demo extra draws the pictures")

RESULTS = ["checkpoint.safetensors", "confusions.png", "curves.png", "metrics.csv", "mistakes.png",
           "model.safetensors"]


def demo(folder, *options):
    return main(["demo", "--out", str(folder), *map(str, options)])


def metrics(folder):
    """The rows of metrics.csv without the one column that clocks decide."""
    with open(folder / "metrics.csv", newline="") as file:
        return [{name: value for name, value in row.items() if name != "seconds"} for row in csv.DictReader(file)]


def assert_same_run(first, second):
    assert metrics(first) == metrics(second)
    a, b = tl.load(first / "model.safetensors"), tl.load(second / "model.safetensors")
    assert list(a) == list(b)
    assert all(a[name].numpy().tobytes() == b[name].numpy().tobytes() for name in a)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run of four epochs that nothing broke, and the whole demo's output."""
    folder = tmp_path_factory.mktemp("whole")
    assert demo(folder, "--epochs", 4) == 0
    return folder


def test_it_reaches_its_accuracy_and_says_so(tmp_path, capsys):
    assert demo(tmp_path) == 0
    out, err = capsys.readouterr()
    assert float(metrics(tmp_path)[-1]["test_accuracy"]) >= 0.975
    assert len(metrics(tmp_path)) == 15
    lines = out.splitlines()
    assert lines[0].startswith("digits: 1438 images to train on, 359 to test; ")
    assert lines[1].split() == ["epoch", "train", "loss", "train", "acc", "test", "loss", "test", "acc", "seconds"]
    assert [line.split()[0] for line in lines[2:17]] == [str(epoch) for epoch in range(1, 16)]
    assert lines[17] == f"wrote {', '.join(RESULTS)} to {tmp_path}/"
    told = re.fullmatch(r"speed: (\d+) steps/s with jit, (\d+) eager, on batches of 32: (\d+\.\d) times; "
                        r"compiling 3 programs took \d+\.\d s", lines[18])
    assert int(told[1]) / int(told[2]) == pytest.approx(float(told[3]), abs=0.06)
    assert re.fullmatch(r"9\d\.\d\d% of 359 test images are right, after 15 epochs and \d+\.\d s", lines[19])
    assert len(lines) == 20
    assert "epoch 15/15" in err  # the progress bar


def test_everything_is_written(whole):
    assert sorted(path.name for path in whole.iterdir()) == RESULTS
    rows = metrics(whole)
    assert [row["epoch"] for row in rows] == ["1", "2", "3", "4"]
    assert list(rows[0]) == ["epoch", "learning_rate", "train_loss", "train_accuracy", "test_loss", "test_accuracy"]


@pytest.mark.parametrize("name", ["curves.png", "confusions.png", "mistakes.png"])
def test_pictures_are_pictures(whole, name):
    image = pytest.importorskip("PIL.Image", reason="the demo extra brings pillow")
    with image.open(whole / name) as picture:
        pixels = np.asarray(picture.convert("L"))
    assert min(pixels.shape) > 200
    assert len(np.unique(pixels)) > 20


def test_the_saved_model_gives_the_accuracy_that_was_told(whole):
    model = digits_network()
    model.load_state_dict(tl.load(whole / "model.safetensors"))
    model.eval()
    test_set = Digits(train=False)
    with tl.no_grad():
        scores = model(tl.asarray(test_set.data[:, None] / np.float32(16)))
    accuracy = (scores.numpy().argmax(1) == test_set.targets).mean()
    assert float(metrics(whole)[-1]["test_accuracy"]) == pytest.approx(accuracy, abs=1e-12)


def test_the_same_seed_gives_the_same_run_and_another_seed_another(whole, tmp_path):
    demo(tmp_path / "same", "--epochs", 4)
    assert_same_run(whole, tmp_path / "same")
    demo(tmp_path / "other", "--epochs", 1, "--seed", 1)
    assert metrics(tmp_path / "other")[0] != metrics(whole)[0]


def test_the_number_of_threads_does_not_matter(whole, tmp_path):
    before = tl.get_num_threads()
    try:
        demo(tmp_path, "--epochs", 4, "--threads", 1)
    finally:
        tl.set_num_threads(before)
    assert_same_run(whole, tmp_path)


def test_eager_training_is_the_same_but_for_roundings(whole, tmp_path, capsys):
    assert demo(tmp_path, "--epochs", 2, "--eager") == 0
    speed = capsys.readouterr().out.splitlines()[5]
    assert re.fullmatch(r"speed: \d+ steps/s with jit, \d+ eager, on batches of 32: \d+\.\d times", speed)
    for eager, compiled in zip(metrics(tmp_path), metrics(whole)):
        for name in ("learning_rate", "train_loss", "test_loss"):
            assert float(eager[name]) == pytest.approx(float(compiled[name]), rel=2e-3)


def test_what_was_trained_eagerly_is_resumed_compiled(tmp_path, capsys):
    assert demo(tmp_path, "--epochs", 1, "--eager") == 0
    assert demo(tmp_path, "--epochs", 2, "--resume") == 0
    assert "; compiling 3 programs took " in capsys.readouterr().out


def test_measuring_speeds_begins_after_everything_is_saved(whole):
    model = digits_network()
    model.load_state_dict(tl.load(whole / "model.safetensors"))
    saved = tl.load(whole / "checkpoint.safetensors")["model"]
    assert all(x.numpy().tobytes() == saved[name].numpy().tobytes() for name, x in model.state_dict().items())


def test_resuming_goes_on_as_if_never_stopped(whole, tmp_path, capsys):
    demo(tmp_path, "--epochs", 2)
    capsys.readouterr()
    assert demo(tmp_path, "--epochs", 4, "--resume") == 0
    assert_same_run(whole, tmp_path)
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[2:6]] == ["1", "2", "3", "4"]


def test_resuming_what_is_done_draws_again(whole, tmp_path):
    demo(tmp_path, "--epochs", 1)
    before = (tmp_path / "metrics.csv").read_bytes()
    (tmp_path / "curves.png").unlink()
    assert demo(tmp_path, "--epochs", 1, "--resume") == 0
    assert (tmp_path / "metrics.csv").read_bytes() == before
    assert (tmp_path / "curves.png").exists()


def test_an_interrupt_leaves_a_checkpoint_to_go_on_from(whole, tmp_path):
    command = [sys.executable, "-m", "tensorlite", "demo", "--out", str(tmp_path), "--epochs", "4"]
    process = subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    for line in process.stdout:
        if line.startswith("    2 "):
            process.send_signal(signal.SIGINT)
            break
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130
    last = re.split(r"[\r\n]", err.strip())[-1]
    assert "Traceback" not in err
    assert last == (f"interrupted; {tmp_path}/checkpoint.safetensors holds 2 epochs, go on with: "
                    f"tensorlite demo --out {tmp_path} --epochs 4 --resume")
    assert demo(tmp_path, "--epochs", 4, "--resume") == 0
    assert_same_run(whole, tmp_path)


@pytest.fixture
def clothes(tmp_path):
    """A few images in the files of Fashion-MNIST: brighter ones of higher classes."""
    folder, chance = tmp_path / "clothes", np.random.default_rng(0)
    folder.mkdir()
    for split, count in (("train", 200), ("t10k", 60)):
        labels = (np.arange(count) % 10).astype(np.uint8)
        images = (chance.random((count, 28, 28)) * 25 * (1 + labels[:, None, None])).astype(np.uint8)
        write_idx(folder / f"{split}-images-idx3-ubyte.gz", images)
        write_idx(folder / f"{split}-labels-idx1-ubyte.gz", labels)
    return folder


def test_idx_files_are_learned_by_lenet(clothes, tmp_path, capsys):
    assert demo(tmp_path / "out", "--data", clothes, "--epochs", 2, "--batch-size", 20) == 0
    assert capsys.readouterr().out.startswith("FashionMNIST: 200 images to train on, 60 to test; ")
    assert tl.load(tmp_path / "out/model.safetensors").keys() == lenet().state_dict().keys()


def test_mnist_is_told_by_its_first_labels(clothes, tmp_path, capsys):
    labels = (np.arange(60) % 10).astype(np.uint8)
    labels[:10] = [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    write_idx(clothes / "t10k-labels-idx1-ubyte.gz", labels)
    assert demo(tmp_path / "out", "--data", clothes, "--epochs", 1) == 0
    assert capsys.readouterr().out.startswith("MNIST: 200 images")


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """A few images in the binary files of CIFAR-10: brighter ones of higher classes."""
    folder, chance = tmp_path_factory.mktemp("photographs"), np.random.default_rng(0)
    for name in [*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin"]:
        labels = np.arange(8)
        images = chance.random((8, 3072)) * 25 * (1 + labels[:, None])
        np.concatenate([labels[:, None], images], 1).astype(np.uint8).tofile(folder / name)
    return folder


@pytest.fixture(scope="module")
def attentive(photographs, tmp_path_factory):
    """A run of a transformer over photographs, op by op, for compiling is tested elsewhere."""
    folder = tmp_path_factory.mktemp("attentive")
    assert demo(folder, "--data", photographs, "--model", "vit", "--epochs", 2, "--eager") == 0
    return folder


def test_photographs_are_learned_by_resnet20_where_nothing_is_said(photographs, tmp_path, capsys):
    assert demo(tmp_path, "--data", photographs, "--epochs", 1, "--eager") == 0
    assert capsys.readouterr().out.startswith("CIFAR10: 40 images to train on, 8 to test; 269722 parameters, ")
    assert tl.load(tmp_path / "model.safetensors").keys() == tl.models.resnet20().state_dict().keys()


def test_a_model_that_was_chosen_is_taken_up_again_with_the_same_pictures(photographs, attentive, tmp_path, capsys):
    assert demo(tmp_path, "--data", photographs, "--model", "vit", "--epochs", 1, "--eager") == 0
    assert demo(tmp_path, "--data", photographs, "--epochs", 2, "--eager", "--resume") == 0
    assert "; 546186 parameters, " in capsys.readouterr().out
    assert_same_run(attentive, tmp_path)


def test_a_model_for_other_images_is_refused(photographs, attentive, clothes, tmp_path, capsys):
    mistakes = {
        ("--model", "vit"): ("vit takes CIFAR-10's of 32x32, and these are scikit-learn's digits of 8x8",
                             "give images by --data"),
        ("--model", "resnet20", "--data", clothes):
            ("resnet20 takes CIFAR-10's of 32x32, and these are MNIST's and Fashion-MNIST's of 28x28",
             "take --model lenet, or other images by --data"),
        ("--model", "lenet", "--data", photographs):
            ("lenet takes MNIST's and Fashion-MNIST's of 28x28, and these are CIFAR-10's of 32x32",
             "take --model resnet20 or --model vit, or other images by --data"),
        ("--model", "resnet20", "--data", photographs, "--resume", "--out", attentive):
            ("was trained with model vit, not resnet20", "use the same options, or leave out --resume"),
    }
    for options, (problem, fix) in mistakes.items():
        assert demo(tmp_path, *options) == 1
        err = capsys.readouterr().err
        assert problem in err
        assert f"fix: {fix}" in err


def test_mistakes_of_the_user_are_one_message(whole, clothes, tmp_path, capsys):
    mistakes = {
        ("--data", tmp_path / "nowhere"): f"neither in {tmp_path}/nowhere/FashionMNIST/raw nor in {tmp_path}/nowhere",
        ("--resume", "--out", tmp_path / "new"): f"--resume: there is no {tmp_path}/new/checkpoint.safetensors",
        ("--resume", "--seed", 5): "was trained with seed 0, not 5",
        ("--resume", "--batch-size", 7): "was trained with batch size 32, not 7",
        ("--resume", "--data", clothes): "was trained with task digits, not FashionMNIST",
    }
    for options, problem in mistakes.items():
        assert demo(whole, *options) == 1
        err = capsys.readouterr().err
        assert err.startswith("tensorlite demo: ")
        assert problem in err
        assert "fix: " in err
        assert "Traceback" not in err


def test_a_damaged_checkpoint_is_named(tmp_path, capsys):
    (tmp_path / "checkpoint.safetensors").write_bytes(b"half")
    assert demo(tmp_path, "--resume") == 1
    assert "checkpoint.safetensors: damaged, cut short, or not safetensors" in capsys.readouterr().err


@pytest.mark.parametrize("options", [["--epochs", "0"], ["--batch-size", "-1"], ["--threads", "x"]], ids=str)
def test_numbers_are_checked(options, capsys):
    with pytest.raises(SystemExit) as end:
        main(["demo", *options])
    assert end.value.code == 2
    assert f"argument {options[0]}: invalid" in capsys.readouterr().err


def test_confusions_are_counted_by_true_class():
    result = Evaluation(0.0, np.array([0, 1, 1, 1]), np.array([0, 1, 0, 0]), np.ones(4))
    assert count_confusions(result, 2).tolist() == [[1, 0], [2, 1]]
    assert result.accuracy == 0.5


@pytest.mark.parametrize("wrong", [0, 1, 24, 30])
def test_any_number_of_mistakes_can_be_drawn(tmp_path, wrong):
    predictions = np.zeros(40, np.int64)
    predictions[:wrong] = 1
    result = Evaluation(0.0, np.zeros(40, np.int64), predictions, np.linspace(0, 1, 40))
    draw_mistakes(result, np.zeros((40, 8, 8), np.uint8), ("zero", "one"), tmp_path / "mistakes.png")
    assert (tmp_path / "mistakes.png").stat().st_size > 1000


