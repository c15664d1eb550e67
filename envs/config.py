"""Options of the environments as configuration. Imports no mujoco, so that `--help` is quick."""

from dataclasses import dataclass
from typing import Any, Literal

from neuroctl.config import EnvConfig


@dataclass(frozen=True)
class LaneFollowConfig(EnvConfig):
    """`neuroctl/LaneFollow-v0`."""

    id: str = "neuroctl/LaneFollow-v0"
    """Gymnasium id."""
    observation: Literal["state", "retina", "events"] = "retina"
    """What the controller sees."""
    retina_size: tuple[int, int] = (16, 64)
    """Rows and columns of the retina."""
    camera: Literal["near", "far"] = "near"
    """near sees 2.5 m ahead, far to the horizon."""
    blackout_s: float = 0.0
    """Duration of the random blackouts of the camera; 0 is none."""
    event_model: Literal["linear", "log", "noisy"] = "linear"
    """Pixels of the event camera."""
    event_threshold: float | None = None
    """Change that makes an event; absent, the event model's own."""
    event_polarity: bool = False
    """Whether ON and OFF events are counted apart."""
    event_light: float = 1.0
    """Factor of the light in which the event camera sees the scene."""
    event_glare: float = 0.0
    """Stray light on top of it, for every pixel alike; white is 1."""
    track: Literal["loop", "random"] = "random"
    """The loop, or roads drawn from track_seeds."""
    track_seeds: tuple[int, int] = (0, 100)
    """Range [start, stop) of random roads; held-out roads are another range."""
    discrete_steering: bool = False
    """Five steering commands in place of an angle."""
    max_steps: int = 1000
    """Control steps of 20 ms after which an episode is truncated."""
    crash_pause_s: float = 0.0
    """Time without reward after leaving the lane, before the episode ends."""
    start: Literal["random", "fixed"] = "random"
    """Where episodes start: anywhere, or on the loop at the beginning of its bottom straight."""

    def kwargs(self) -> dict[str, Any]:
        """The options handed to the environment; on the loop, without the default of track_seeds."""
        options = super().kwargs()
        if self.track == "loop" and self.track_seeds == type(self).track_seeds:
            del options["track_seeds"]
        return options


@dataclass(frozen=True)
class ArmReachConfig(EnvConfig):
    """`neuroctl/ArmReach-v0`."""

    id: str = "neuroctl/ArmReach-v0"
    """Gymnasium id."""
    arm: Literal["planar2", "spatial7"] = "planar2"
    """Two joints in the plane (Reacher-v5), or seven in space."""
    task: Literal["reach", "delayed"] = "reach"
    """delayed shows the target for 0.1 s; the arm holds still until a go signal."""
    command: Literal["torque", "velocity"] = "torque"
    """What an action sets at each joint."""
    observe_velocity: bool = True
    """Whether the joints' velocities are observed."""
    target: tuple[float, ...] | None = None
    """Position of every target in m; absent, each episode draws one."""
    target_set: Literal["all", "train", "held-out"] = "all"
    """Where targets are drawn: everywhere, outside two sectors, or in these."""
    held_out_share: float = 0.0
    """With target_set train, share of the episodes whose target is held out all the same."""
    perturbation: Literal["force-field", "rotation"] | None = None
    """A force across the movement, or a cursor turned about the workspace's centre."""
    perturbation_strength: float | None = None
    """N s/m or degrees; absent, the arm's default."""
    block_episodes: int | None = None
    """Blocks of that many episodes are without and with the perturbation in turn; absent, all are with it. It is for
    training: evaluate and record seed every episode and stay in the first block, without."""
    max_steps: int | None = None
    """Control steps of 20 ms after which an episode is truncated; absent, the default of arm and task."""


@dataclass(frozen=True)
class BallReachConfig(EnvConfig):
    """`neuroctl/BallReach-v0`."""

    id: str = "neuroctl/BallReach-v0"
    """Gymnasium id."""
    observation: Literal["state", "retina", "events"] = "state"
    """What the controller sees."""
    image_code: Literal["pixels", "sums"] = "pixels"
    """The 16 x 16 pixels of retina or event camera, or their 32 sums over rows and columns."""
    event_model: Literal["linear", "log", "noisy"] = "linear"
    """Pixels of the event camera."""
    event_threshold: float | None = None
    """Change that makes an event; absent, the event model's own."""
    event_polarity: bool = False
    """Whether ON and OFF events are counted apart."""
    event_light: float = 1.0
    """Factor of the light in which the event camera sees the scene."""
    event_glare: float = 0.0
    """Stray light on top of it, for every pixel alike; white is 1."""
    reward: Literal["heading", "distance"] = "heading"
    """For moving towards the goal, or minus the distance from it."""
    heading_limit_deg: float = 90.0
    """Angle between motion and goal from which the heading reward is 0."""
    heading_power: float = 1.0
    """Exponent with which the heading reward rises as the angle closes."""
    goal_m: tuple[float, float] = (0.0, 0.0)
    """x and y of the goal's centre, each from -8 to 8 m."""
    max_steps: int = 3000
    """Control steps of 20 ms after which an episode is truncated."""


@dataclass(frozen=True)
class WaterMazeConfig(EnvConfig):
    """`neuroctl/WaterMaze-v0`."""

    id: str = "neuroctl/WaterMaze-v0"
    """Gymnasium id."""
    observation: Literal["state", "retina"] = "state"
    """What the controller sees."""
    retina_size: tuple[int, int] = (8, 32)
    """Rows and columns of the retina."""
    cues: int = 4
    """How many of the four cues are on the wall."""
    last_reward: bool = False
    """Whether the state has the reward of the last step."""
    discrete_actions: bool = False
    """Three commands (forward, left, right) in place of speed and turn rate."""
    radius_m: float = 1.0
    """Radius of the pool, from 0.5 to 5 m."""
    rest_s: float = 1.0
    """Time on the platform after it was reached."""
    expert: Literal["memory", "search"] = "memory"
    """memory swims straight to a platform that it found before in the episode, search looks for it in every trial."""
    max_steps: int = 1000
    """Control steps of 50 ms after which an episode is truncated."""


@dataclass(frozen=True)
class GymnasiumTaskConfig(EnvConfig):
    """Gymnasium's MuJoCo tasks: `neuroctl/HalfCheetah-v5`, `neuroctl/Reacher-v5`, ..."""

    id: str = "neuroctl/HalfCheetah-v5"
    """Gymnasium id."""
    observe_velocity: bool = True
    """Whether the observation keeps its velocities."""


@dataclass(frozen=True)
class PlainConfig(EnvConfig):
    """What tasks without a physics engine have in common."""

    last_action: bool = False
    """Whether the last action is observed; where actions do nothing, it is a memory outside the agent."""


@dataclass(frozen=True)
class RewardedConfig(PlainConfig):
    """What those of them have in common that reward more than an episode's last step."""

    last_reward: bool = False
    """Whether the last reward is observed; it can tell what a task means to hide."""


@dataclass(frozen=True)
class NonMatchConfig(RewardedConfig):
    """`neuroctl/NonMatch-v0`."""

    id: str = "neuroctl/NonMatch-v0"
    """Gymnasium id."""
    symbols: int = 4
    """Number of symbols."""
    delay: int = 20
    """Longest delay between sample and test, in steps."""
    random_delay: bool = True
    """Whether delays are drawn, from half of the longest."""
    distractors: bool = True
    """Whether random symbols are shown during the delay."""
    trials: int = 1
    """Trials of an episode."""


@dataclass(frozen=True)
class TMazeConfig(RewardedConfig):
    """`neuroctl/TMaze-v0`."""

    id: str = "neuroctl/TMaze-v0"
    """Gymnasium id."""
    corridor: int = 50
    """Cells before the junction."""
    max_steps: int | None = None
    """Steps after which an episode is truncated; absent, 4 (corridor + 1)."""


@dataclass(frozen=True)
class NParityConfig(PlainConfig):
    """`neuroctl/NParity-v0`."""

    id: str = "neuroctl/NParity-v0"
    """Gymnasium id."""
    bits: int = 8
    """Bits of an episode."""


@dataclass(frozen=True)
class CopyConfig(RewardedConfig):
    """`neuroctl/Copy-v0`."""

    id: str = "neuroctl/Copy-v0"
    """Gymnasium id."""
    length: int = 10
    """Bits of the pattern."""
    delay: int = 10
    """Steps between pattern and recall."""


@dataclass(frozen=True)
class ClassicControlConfig(RewardedConfig):
    """Gymnasium's `neuroctl/CartPole-v1` and `neuroctl/Pendulum-v1`."""

    id: str = "neuroctl/CartPole-v1"
    """Gymnasium id."""
    observe_velocity: bool = True
    """Whether velocities are observed."""


@dataclass(frozen=True)
class AtariConfig(EnvConfig):
    """A game of the Atari 2600: `neuroctl/Atari-Breakout-v0`, `neuroctl/Atari-Seaquest-v0`, ..."""

    id: str = "neuroctl/Atari-Breakout-v0"
    """Gymnasium id."""
    protocol: Literal["machado", "deepmind"] = "machado"
    """What the next four options are where they are absent: sticky actions and the whole joystick, or random starts."""
    sticky: float | None = None
    """Probability with which a frame repeats the last frame's action."""
    full_actions: bool | None = None
    """All 18 actions of the joystick, or those alone that the game knows."""
    noop_max: int | None = None
    """Most frames without an action at the beginning of a game."""
    fire_reset: bool | None = None
    """Whether a game begins with FIRE, where it knows it."""
    episodic_life: bool = False
    """Whether an episode ends with each life."""
    frame_skip: int = 4
    """Frames of an action."""
    frame_stack: int = 4
    """Frames of an observation; a recurrent policy remembers for itself and takes 1."""
    size: tuple[int, int] = (84, 84)
    """Height and width of a frame."""
    grayscale: bool = True
    """Whether a frame has luminance only."""
    blank: float = 0.0
    """Probability with which a frame is seen black, so that a policy must remember."""
    max_steps: int | None = None
    """Control steps after which an episode is truncated; absent, those of half an hour of play."""


@dataclass(frozen=True)
class ProcgenConfig(EnvConfig):
    """A game whose levels are generated: `neuroctl/Procgen-CoinRun-v0`, `neuroctl/Procgen-Chaser-v0`, ..."""

    id: str = "neuroctl/Procgen-CoinRun-v0"
    """Gymnasium id."""
    mode: Literal["easy", "hard", "extreme", "memory", "exploration"] = "easy"
    """How levels are made; not every game has each."""
    start_level: int = 0
    """The first level."""
    num_levels: int = 0
    """Levels from there on; 0 is all of them."""
    use_backgrounds: bool = True
    """Whether there are pictures behind the scene, or black."""
    restrict_themes: bool = False
    """Whether all levels have the same theme."""
    use_monochrome_assets: bool = False
    """Whether things are rectangles of one colour."""
