"""Cells, policies and learners; this module only registers their names."""

from neuroctl.registry import agents

agents.register("imitation", "neuroctl.agents.imitation:ImitationAgent", "behaviour cloning and DAgger on sequences")
