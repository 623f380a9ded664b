"""Layers as functions: what the modules of `tensorlite.nn` call.

A function is named in the ``__all__`` of its family's file, and nowhere else.
"""

from tensorlite.ops.attention.dot_product import *
from tensorlite.ops.attention.multihead import *
from tensorlite.ops.convolution.conv import *
from tensorlite.ops.convolution.dimensions import *
from tensorlite.ops.convolution.fold import *
from tensorlite.ops.convolution.transposed import *
from tensorlite.ops.distances import *
from tensorlite.ops.dropout import *
from tensorlite.ops.elementwise import sigmoid, tanh
from tensorlite.ops.gates import *
from tensorlite.ops.images.grid import *
from tensorlite.ops.images.interpolate import *
from tensorlite.ops.images.pad import *
from tensorlite.ops.images.shuffle import *
from tensorlite.ops.indexing.embedding import *
from tensorlite.ops.indexing.embedding_bag import *
from tensorlite.ops.indexing.scatter import one_hot
from tensorlite.ops.linear import *
from tensorlite.ops.losses.classes import *
from tensorlite.ops.losses.ctc import *
from tensorlite.ops.losses.linear import *
from tensorlite.ops.losses.margins import *
from tensorlite.ops.losses.numbers import *
from tensorlite.ops.losses.probabilities import *
from tensorlite.ops.losses.rare import *
from tensorlite.ops.norms.norm import *
from tensorlite.ops.norms.response import *
from tensorlite.ops.norms.rms import *
from tensorlite.ops.piecewise import *
from tensorlite.ops.pools.adaptive import *
from tensorlite.ops.pools.average import *
from tensorlite.ops.pools.fractional import *
from tensorlite.ops.pools.maximum import *
from tensorlite.ops.pools.unpool import *
from tensorlite.ops.rectifiers import *
from tensorlite.ops.smooth import *
from tensorlite.ops.softmax import *
from tensorlite.ops.stochastic_depth import *
