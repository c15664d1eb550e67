"""Recurrent cells under one contract."""

from .cell import Cell, State
from .cfc import CfC
from .lstm import LSTM

__all__ = ["LSTM", "Cell", "CfC", "State"]
