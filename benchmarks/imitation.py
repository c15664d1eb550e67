"""Image imitation: samples per second of training on Breakout, beside a plain ncps and PyTorch loop (one thread).

The peer does what the Atari example of ncps does: sequences of 32 frames in memory, convolutions over all of them, a
CfC of ncps (256 inputs, 64 units), cross entropy, Adam. It is run with the example's four wide convolutions, and with
the encoder of ours in their place, so that the cells alone differ. Ours reads compressed recordings from disk.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ncps.torch import CfC
from torch import Tensor, nn

from neuroctl import record, registry
from neuroctl.agents.encoders import ImageEncoder
from neuroctl.recording import Recording
from neuroctl.run import environment_spaces, make_agent

LENGTH, WIDTH, FEATURES, UNITS = 32, 32, 64, 64


class Wide(nn.Module):
    """Four convolutions of 5 x 5 and stride 2, two of them with BatchNorm, averaged over the image."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for n, (into, out) in enumerate(zip((1, 64, 128, 128), (64, 128, 128, 256), strict=True)):
            layers.append(nn.Conv2d(into, out, 5, stride=2, padding=2))
            layers += [nn.BatchNorm2d(out)] * (n % 2)
            layers.append(nn.ReLU())
        self.layers = nn.Sequential(*layers)

    def forward(self, obs: Tensor) -> Tensor:
        """Images `[..., H, W]` to features `[..., 256]`."""
        lead = obs.shape[:-2]
        images: Tensor = self.layers(obs.reshape(-1, 1, *obs.shape[-2:]) / 255.0)
        return images.mean((-2, -1)).reshape(*lead, -1)


class Plain:
    """The peer: `update` is one gradient step."""

    def __init__(self, encoder: nn.Module, features: int, recording: Recording, actions: int) -> None:
        episodes = [recording.episode(number) for number in recording.numbers()]
        self.obs = [np.asarray(episode.obs) for episode in episodes]
        self.labels = [episode.label for episode in episodes]
        self.encoder, self.cell, self.head = encoder, CfC(features, UNITS), nn.Linear(UNITS, actions)
        parameters = [p for part in (encoder, self.cell, self.head) for p in part.parameters()]
        self.optimiser, self.rng = torch.optim.Adam(parameters, 1e-4), np.random.default_rng(0)

    def update(self) -> None:
        """On random windows of random episodes."""
        picks = [int(self.rng.integers(len(self.obs))) for _ in range(WIDTH)]
        starts = [int(self.rng.integers(len(self.labels[k]) - LENGTH)) for k in picks]
        obs = np.stack([self.obs[k][t : t + LENGTH] for k, t in zip(picks, starts, strict=True)])
        label = np.stack([self.labels[k][t : t + LENGTH] for k, t in zip(picks, starts, strict=True)])
        y, _ = self.cell(self.encoder(torch.tensor(obs).float()))
        loss = nn.functional.cross_entropy(self.head(y).flatten(0, 1), torch.tensor(label).flatten())
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    made: Any = registry.presets.load("atari-cfc")()
    agent = replace(made.agent, sequence_length=LENGTH, batch_size=WIDTH, burn_in=0)
    with tempfile.TemporaryDirectory() as folder:
        kwargs = {**made.env.kwargs(), "max_steps": 300}
        data = record("expert", Path(folder) / "data", episodes=16, env_id=made.env.id, env_kwargs=kwargs)
        spaces = environment_spaces(made)
        actions = int(spaces.action.n)  # type: ignore[attr-defined]

        def ours(**changes: Any) -> Callable[[], Any]:
            return make_agent(replace(made, agent=replace(agent, **changes), seed=1), spaces, [data]).update

        loops = {
            "neuroctl": ours(),
            "neuroctl, encoder frozen": ours(freeze_encoder=True),
            "ncps, encoder of ours": Plain(ImageEncoder((84, 84), FEATURES, 1 / 255), FEATURES, data, actions).update,
            "ncps, encoder of its example": Plain(Wide(), 256, data, actions).update,
        }
        seconds: dict[str, list[float]] = {name: [] for name in loops}
        for repeat in range(options.repeats + 1):
            for name, update in loops.items():
                if name.endswith("example") and repeat > 2:
                    continue  # it takes tens of seconds
                start = time.perf_counter()
                update()
                if repeat:  # the first one warms up and, frozen, encodes
                    seconds[name].append(time.perf_counter() - start)
    samples = {name: LENGTH * WIDTH / float(np.median(values)) for name, values in seconds.items()}
    print(
        f"{LENGTH} steps of {WIDTH} sequences, frames of 84 x 84, CfC of {UNITS} units (target: 3 times the example)\n"
    )
    print("| loop | frames/s | against the example | against ncps on our encoder |\n|---|---|---|---|")
    for name, rate in samples.items():
        ratios = [rate / samples[other] for other in ("ncps, encoder of its example", "ncps, encoder of ours")]
        print(f"| {name} | {rate:.0f} | {ratios[0]:.2f} | {ratios[1]:.2f} |")


if __name__ == "__main__":
    main()
