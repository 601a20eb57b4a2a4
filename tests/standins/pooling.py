"""A stand-in for vLLM's API of pooling models: its paths, fields and errors as in release 0.32.0.

A model for embeddings has /v1/embeddings and, by the similarity of embeddings, /v1/rerank; a
reranker has only /v1/rerank. Other paths, as /v1/messages, do not exist.
"""

from __future__ import annotations

import base64
import struct
from typing import Any

NUMBERS = (0.25, -0.5, 1.0)
"""An embedding, of numbers that a float of 32 bits represents exactly."""

BOTH = ("/v1/rerank", "/rerank")


def embedder(model: str, window: int) -> dict[str, Any]:
    """Return the answers of a model for embeddings, by path."""
    return {
        "/v1/models": listed(model, window),
        "/health": {},
        "/v1/embeddings": lambda body: embeddings(model, body),
        **{path: lambda body: scores(model, body) for path in BOTH},
    }


def reranker(model: str, window: int) -> dict[str, Any]:
    """Return the answers of a reranker, by path."""
    return {
        "/v1/models": listed(model, window),
        "/health": {},
        **{path: lambda body: scores(model, body) for path in BOTH},
    }


def listed(model: str, window: int) -> dict[str, Any]:
    """Return the list of models."""
    return {"object": "list", "data": [{"id": model, "object": "model", "max_model_len": window}]}


def embeddings(model: str, body: dict[str, Any]) -> Any:
    """Return the answer of /v1/embeddings."""
    if wrong := _refused(model, body, "input"):
        return wrong
    inputs = body["input"] if isinstance(body["input"], list) else [body["input"]]
    packed = base64.b64encode(struct.pack(f"<{len(NUMBERS)}f", *NUMBERS)).decode()
    is_packed = body.get("encoding_format") == "base64"
    return {
        "id": "embd-1",
        "object": "list",
        "created": 1,
        "model": model,
        "data": [
            {
                "index": index,
                "object": "embedding",
                "embedding": packed if is_packed else list(NUMBERS),
            }
            for index in range(len(inputs))
        ],
        "usage": {"prompt_tokens": 3, "total_tokens": 3, "completion_tokens": 0},
    }


def scores(model: str, body: dict[str, Any]) -> Any:
    """Return the answer of /rerank: the best first, with a higher score for a shared word."""
    if wrong := _refused(model, body, "query", "documents"):
        return wrong
    words = set(body["query"].split())
    ranked: list[dict[str, Any]] = [
        {
            "index": index,
            "document": {"text": text, "multi_modal": None},
            "relevance_score": len(words & set(text.split())) / len(words),
        }
        for index, text in enumerate(body["documents"])
    ]
    ranked.sort(key=lambda each: -each["relevance_score"])
    most = body.get("top_n") or len(ranked)
    usage = {"prompt_tokens": 9, "total_tokens": 9}
    return {"id": "rerank-1", "model": model, "usage": usage, "results": ranked[:most]}


def _refused(model: str, body: dict[str, Any], *fields: str) -> Any:
    if missing := [name for name in fields if name not in body]:
        return 400, {"error": {"message": f"{missing[0]}: Field required", "code": 400}}
    if body.get("model") not in (None, model):
        return 404, {"error": {"message": f"The model `{body['model']}` does not exist."}}
    return None
