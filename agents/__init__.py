"""Cells, policies and learners; this module only registers their names."""

from neuroctl.registry import agents, cells

agents.register("imitation", "neuroctl.agents.imitation:ImitationAgent", "behaviour cloning and DAgger on sequences")

cells.register("cfc", "neuroctl.agents.policies:make_cfc", "closed-form continuous-time cell, dense or low-rank sparse")
cells.register("lstm", "neuroctl.agents.policies:make_lstm", "LSTM, dense or low-rank sparse")
cells.register("gru", "neuroctl.agents.policies:make_gru", "GRU, dense or low-rank sparse")
cells.register("rnn", "neuroctl.agents.policies:make_rnn", "plain recurrent network, dense or low-rank sparse")
cells.register("ltc", "neuroctl.agents.policies:make_ltc", "liquid time-constant cell, dense or low-rank sparse")
cells.register("ncp", "neuroctl.agents.policies:make_ncp", "CfC wired as a neural circuit policy")
cells.register("mlp", "neuroctl.agents.policies:make_mlp", "feed-forward, with or without stacked frames")
