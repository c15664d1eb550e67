"""The programs people start, and the experiments they start them with; this module only registers names."""

from neuroctl import registry

for _module, _presets in {
    "presets": {
        "lane-cfc": "lane following by imitation, low-rank sparse CfC",
        "lane-cfc-dense": "lane following by imitation, dense CfC",
        "lane-lstm": "lane following by imitation, LSTM",
        "lane-mlp": "lane following by imitation, feed-forward policy",
        "arm-cfc": "delayed reaching with an arm by imitation, low-rank sparse CfC",
        "ball-cfc": "reaching with a ball by imitation, low-rank sparse CfC",
        "halfcheetah-cfc": "HalfCheetah without velocities by imitation, low-rank sparse CfC",
        "atari-cfc": "Breakout from single frames by imitation, dense CfC",
        "atari-lstm": "the same, LSTM",
        "spore-ball": "reaching with a ball by synaptic sampling, event camera",
        "spore-ball-sums": "the same, events summed over rows and columns",
        "spore-lane": "lane following by synaptic sampling, event camera",
    },
    "memory_presets": {
        "rtrl-nonmatch": "delayed non-match to sample, actor-critic by exact gradients",
        "rtrl-tmaze": "T-maze, likewise",
        "rtrl-nparity": "parity, likewise",
        "rtrl-watermaze": "water maze from its state, likewise",
        "rtrl-watermaze-impala": "water maze from the retina, with the values of the published IMPALA",
        "rtrl-coinrun": "CoinRun of Procgen by PPO, exact gradients",
        "ppo-cartpole": "CartPole by PPO",
        "ppo-pendulum": "Pendulum by PPO",
        "ppo-pendulum-hidden": "Pendulum without velocities by PPO on an LSTM",
        "ppo-halfcheetah": "Gymnasium's HalfCheetah by PPO",
        "ppo-reacher": "Gymnasium's Reacher by PPO",
        "ppo-walker2d": "Gymnasium's Walker2d by PPO",
    },
}.items():
    for _name, _summary in _presets.items():
        registry.presets.register(_name, f"neuroctl.launch.{_module}:{_name.replace('-', '_')}", _summary)
