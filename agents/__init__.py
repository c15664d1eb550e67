"""Cells, policies and learners; this module only registers their names."""

from neuroctl.registry import agents, presets

agents.register("imitation", "neuroctl.agents.imitation:ImitationAgent", "behaviour cloning and DAgger on sequences")

for _name, _summary in (
    ("lane-cfc", "lane following by imitation, low-rank sparse CfC"),
    ("lane-cfc-dense", "lane following by imitation, dense CfC"),
    ("lane-lstm", "lane following by imitation, LSTM"),
    ("lane-mlp", "lane following by imitation, feed-forward policy"),
):
    presets.register(_name, f"neuroctl.agents.presets:{_name.replace('-', '_')}", _summary)
