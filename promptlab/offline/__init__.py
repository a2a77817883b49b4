"""The offline model: an OpenAI-compatible server on this machine, without a key.

It is a small retrieval-style responder, not a language model. It understands nothing:
it ranks the labels and sentences that are in the request by the words they share with
the question, follows plain instructions (one word, a list, JSON, N sentences), and
samples among what it found by temperature and seed. So prompts, system messages,
examples, temperatures and token limits make a visible difference, and a whole
experiment can be tried, tested and shown without a network or a bill. Its accuracy
says nothing about any real model's.

    with OfflineServer().in_thread() as server:
        client = openai.OpenAI(base_url=server.base_url, api_key="offline")

It serves chat completions, completions, responses and embeddings, streamed too, with
tools (it makes up a call that fits a function's schema) and log probabilities (of its
own draws). What it does not serve is a 400 in OpenAI's own shape.

Models: `offline/small` weighs few passages and is less sure, `offline/large` weighs
all and related words too; `offline/embedding` gives vectors. `Faults` makes the server
slow, limited or broken, to see what a client makes of that.

    server/     the protocol: validation, errors, faults, limits, wire format, tokens
    responder/  what it answers: parsing → task → ranking → generation or schemas
"""

from promptlab.offline.responder.embeddings import embed
from promptlab.offline.responder.ranking import EMBEDDING_MODEL, MODELS
from promptlab.offline.responder.responder import RESPONDER_VERSION
from promptlab.offline.server.answers import Answer, answer, answers
from promptlab.offline.server.faults import Faults
from promptlab.offline.server.server import OfflineServer

__all__ = [
    "EMBEDDING_MODEL",
    "MODELS",
    "RESPONDER_VERSION",
    "Answer",
    "Faults",
    "OfflineServer",
    "answer",
    "answers",
    "embed",
]
