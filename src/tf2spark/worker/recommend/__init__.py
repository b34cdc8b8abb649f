"""The worker's part of `recommend`: blocks of scores, by a split graph or by the whole one."""
