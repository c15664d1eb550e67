"""Learners: gradients of recurrent cells, and what is made of them."""

from .gradients import RULES, sequence_gradient

__all__ = ["RULES", "sequence_gradient"]
