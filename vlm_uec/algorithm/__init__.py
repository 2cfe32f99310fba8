"""The mathematics of UEC-RL (arXiv 2604.14646): no distributed calls, no files, no globals.

A step reads the modules in this order: `advantages`, `exploration`, `retention`, `pending`, `losses`,
`replay`; `entropy` measures what they do to the policy.
"""
