"""Settings of vLLM on a small CPU: one core, no compilation, and a cache of known size."""

from __future__ import annotations

CPU_ENVIRONMENT = {
    "VLLM_CPU_OMP_THREADS_BIND": "0",
    "TORCHDYNAMO_DISABLE": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_NO_USAGE_STATS": "1",
    "HF_HUB_OFFLINE": "1",
}
CPU_OPTIONS = {"enforce_eager": True, "kv_cache_memory_bytes": 256 << 20, "block_size": 32}
