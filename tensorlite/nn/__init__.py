"""Layers, losses and the models made of them, in PyTorch's names, signatures, defaults and state dicts."""

from tensorlite.nn import functional, init, utils
from tensorlite.nn.activation import (
    ELU,
    GELU,
    Dropout,
    LeakyReLU,
    LogSoftmax,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from tensorlite.nn.attention import MultiheadAttention
from tensorlite.nn.containers import ModuleDict, ModuleList, ParameterList, Sequential
from tensorlite.nn.conv import Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from tensorlite.nn.linear import Flatten, Identity, Linear, Unflatten
from tensorlite.nn.loss import BCELoss, BCEWithLogitsLoss, CrossEntropyLoss, L1Loss, MSELoss, NLLLoss
from tensorlite.nn.module import Module
from tensorlite.nn.normalization import BatchNorm1d, BatchNorm2d, LayerNorm
from tensorlite.nn.parameter import Parameter
from tensorlite.nn.pooling import AdaptiveAvgPool2d, AvgPool2d, MaxPool2d
from tensorlite.nn.rnn import GRU, LSTM, RNN, GRUCell, LSTMCell, RNNCell
from tensorlite.nn.sparse import Embedding

__all__ = [
    "ELU", "GELU", "GRU", "LSTM", "RNN", "AdaptiveAvgPool2d", "AvgPool2d", "BCELoss", "BCEWithLogitsLoss",
    "BatchNorm1d", "BatchNorm2d", "Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d",
    "ConvTranspose3d", "CrossEntropyLoss", "Dropout", "Embedding", "Flatten", "GRUCell", "Identity", "L1Loss",
    "LSTMCell", "LayerNorm", "LeakyReLU", "Linear", "LogSoftmax", "MSELoss", "MaxPool2d", "Module", "ModuleDict",
    "ModuleList", "MultiheadAttention", "NLLLoss", "Parameter", "ParameterList", "RNNCell", "ReLU", "Sequential",
    "SiLU", "Sigmoid", "Softmax", "Softplus", "Tanh", "Unflatten", "functional", "init", "utils",
]
