"""Shards give the same bits in this process and on any number of workers, also when workers are killed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neuroctl.distributed import RETRIES, play_shards
from neuroctl.errors import NeuroctlError, UnknownNameError
from neuroctl.evaluation import Evaluation, evaluate, evaluate_player
from neuroctl.rollouts import Player, ShardResult, make_shards
from tests.neuroctl.toys import CART, POINT

pytestmark = pytest.mark.usefixtures("ray_cluster")
