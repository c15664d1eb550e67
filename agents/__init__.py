"""Cells, policies and learners; this module only registers their names."""

from neuroctl.registry import agents, cells, controllers, rules

agents.register("imitation", "neuroctl.agents.imitation:ImitationAgent", "behaviour cloning and DAgger on sequences")

agents.register("actor-critic", "neuroctl.agents.actor_critic:ActorCriticAgent", "recurrent actor-critic, exact RTRL")

agents.register("spore", "neuroctl.agents.spore:SporeAgent", "spiking network whose synapses learn at every step")

controllers.register("onnx", "neuroctl.agents.onnx_controller:OnnxController", "a controller that was exported")

rules.register("synaptic-sampling", "neuroctl.agents.spiking.rules:synaptic_sampling", "reward-based, as in SPORE")
rules.register("r-stdp", "neuroctl.agents.spiking.rules:r_stdp", "pairs of spikes, gated by reward")
rules.register("node-perturbation", "neuroctl.agents.spiking.rules:node_perturbation", "REINFORCE with spiking noise")

cells.register("cfc", "neuroctl.agents.policies:make_cfc", "closed-form continuous-time cell, dense or low-rank sparse")
cells.register("lstm", "neuroctl.agents.policies:make_lstm", "LSTM, dense or low-rank sparse")
cells.register("gru", "neuroctl.agents.policies:make_gru", "GRU, dense or low-rank sparse")
cells.register("rnn", "neuroctl.agents.policies:make_rnn", "plain recurrent network, dense or low-rank sparse")
cells.register("ltc", "neuroctl.agents.policies:make_ltc", "liquid time-constant cell, dense or low-rank sparse")
cells.register("ncp", "neuroctl.agents.policies:make_ncp", "CfC wired as a neural circuit policy")
cells.register("elstm", "neuroctl.agents.policies:make_elstm", "LSTM whose units see their own past only")
cells.register("rtu", "neuroctl.agents.policies:make_rtu", "recurrent trace units: complex, see their own past only")
cells.register("lru", "neuroctl.agents.policies:make_lru", "linear recurrent units: complex, see their own past only")
cells.register("mlp", "neuroctl.agents.policies:make_mlp", "feed-forward, with or without stacked frames")
