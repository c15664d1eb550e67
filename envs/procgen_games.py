"""The games of Procgen, and the modes in which each makes its levels."""

GAMES: dict[str, tuple[str, ...]] = {
    "BigFish": ("easy", "hard"),
    "BossFight": ("easy", "hard"),
    "CaveFlyer": ("easy", "hard", "memory", "exploration"),
    "Chaser": ("easy", "hard", "extreme"),
    "Climber": ("easy", "hard", "exploration"),
    "CoinRun": ("easy", "hard", "exploration"),
    "Dodgeball": ("easy", "hard", "extreme", "memory"),
    "FruitBot": ("easy", "hard"),
    "Heist": ("easy", "hard", "memory", "exploration"),
    "Jumper": ("easy", "hard", "memory", "exploration"),
    "Leaper": ("easy", "hard", "extreme", "exploration"),
    "Maze": ("easy", "hard", "memory", "exploration"),
    "Miner": ("easy", "hard", "memory"),
    "Ninja": ("easy", "hard", "exploration"),
    "Plunder": ("easy", "hard"),
    "StarPilot": ("easy", "hard", "extreme"),
}
