"""Sampling with vLLM, in a separate server process; see docs/vllm.md.

`server`, `service`, `backend` and `worker` run in vLLM's environment and import only this package and
`vlm_uec.cli`; the other modules run in the trainer, which never imports vLLM.
"""
