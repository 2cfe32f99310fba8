"""The mathematics of UEC-RL (arXiv 2604.14646): no distributed calls, no files, no config.

A training step calls the modules in this order: `advantages`, `exploration`, `retention`, `pending`,
`objectives` (with `losses`, `kl`, `weights`), `replay`; `entropy` measures their effect on entropy.
"""
