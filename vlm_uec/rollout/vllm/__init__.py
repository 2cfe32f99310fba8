"""Sampling by vLLM, in a process of its own that the trainer talks to; see docs/vllm.md.

`server`, `backend` and `worker` run in an environment that has vLLM, and import nothing of this project
beyond this package; all else runs in the trainer, which never imports vLLM.
"""
