"""Networks of the field, as modules: each by the names that torchvision gives its parts, where it has the network.

A network is named in the ``__all__`` of its own file, and nowhere else. None of them fetches weights: load what you
have with ``model.load_state_dict(tl.load("file.safetensors"))``.
"""

from tensorlite.models.alexnet import *
from tensorlite.models.dcgan import *
from tensorlite.models.googlenet import *
from tensorlite.models.gpt import *
from tensorlite.models.language import *
from tensorlite.models.lenet import *
from tensorlite.models.mlp import *
from tensorlite.models.mobilenet import *
from tensorlite.models.resnet import *
from tensorlite.models.resnet_cifar import *
from tensorlite.models.unet import *
from tensorlite.models.vae import *
from tensorlite.models.vgg import *
from tensorlite.models.vit import *
