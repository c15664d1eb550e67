"""Recurrent cells under one contract."""

from .cell import Cell, State
from .cfc import CfC
from .complex_units import LRU, RTU
from .elstm import ELSTM
from .feedforward import FeedForward
from .gru import GRU
from .lstm import LSTM
from .ltc import LTC
from .ncps_adapter import NcpsCell
from .rnn import RNN
from .stacked import Stacked
from .wired import wired

__all__ = [
    "ELSTM",
    "GRU",
    "LSTM",
    "LRU",
    "LTC",
    "RNN",
    "RTU",
    "Cell",
    "CfC",
    "FeedForward",
    "NcpsCell",
    "Stacked",
    "State",
    "wired",
]
