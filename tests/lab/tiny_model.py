"""Write the lab's model: a real checkpoint of 2 MB with fixed answers.

    python -m tests.lab.tiny_model OUTPUT_DIR [LAYERS]

The lab has no GPU and downloads no weights. Still, a real vLLM must serve a model that answers a
real Claude Code and calls its tools, with the same result each time. This model has these replies:

    plain    to anything else
    call     to "leave a note" from the developer, with a Bash tool in the request: a tool call
    done     to a tool result with the note
    failed   to any other tool result: an error, or a denied permission
    search   to "search the web", with WebSearch in the request: a call of it
    query    to a request for a search, which the client sends for WebSearch: a call
    find     to "find a tool", with ToolSearch in the request: a call of it
    seen     to the result of one of these three

Two techniques make a language model give exactly these.

**The weights are a table of successors.** A transformer adds the output of attention and of the
feed-forward network to each token's embedding. Here both are zero, so only the embedding of the
last token reaches the output layer. Every token of a reply has its own axis of the hidden space:
its embedding is 1 there, and so is its successor's row in the output layer, times a gain that makes
the choice certain at any temperature. So each token is followed by the next one of the reply, up to
its end. Every token needs exactly one successor: a reply is cut into pieces of two words, each
piece is a token, and no piece may occur twice.

**The chat template selects the reply.** It has the conversation and the tools as data, and ends the
prompt with a cue: the token before the reply's first piece. See tiny_model_template.jinja.

Nothing is random, so the same versions of the libraries write the same bytes. The vocabulary for
ordinary text is learned from numpy's own sources: English prose and code, like the prompts of
Claude Code, installed anyway, and fixed by the lock file.
"""

import json
import re
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

REPLIES = {
    "plain": (
        "Mirrorfleet describes engines, gateways and Claude Code clients in one file, "
        "and makes every machine of the fleet agree with it. "
        "(I am the lab's tiny model: this is the one answer I know.)"
    ),
    "call": (
        '<tool_call>\n{"name": "Bash", "arguments": {'
        '"command": "echo hello from the tiny model | tee mirrorfleet-note.txt", '
        '"description": "Leave a note"}}\n</tool_call>'
    ),
    "done": "Done: I left a note in mirrorfleet-note.txt with the Bash tool.",
    "failed": "The tool did not do what I asked for, so there is no new note.",
    "seen": "I see the result, and go on from here.",
}

CALLS = {
    "search": ("WebSearch", "mirrorfleet release"),
    "query": ("litellm_web_search", "release of mirrorfleet"),
    "find": ("ToolSearch", "select:WebSearch"),
}
"""Further calls with a query. Each has two tokens only: no token may be that of another reply."""
END = "<|end|>"
TURN = "<|turn|>"
CONTEXT = 131072
HIDDEN = 128  # one axis per token of the replies, and one for all other tokens
HEAD = 32  # the smallest attention head that vLLM's CPU kernels support
GAIN = 16.0


def pieces(reply: str) -> list[str]:
    """Cut a reply into its tokens: two words each, with tool call tags alone."""
    return re.findall(r"</?tool_call>|\s*[^\s<]+(?:\s+[^\s<]+)?", reply)


def replies() -> dict[str, list[str]]:
    """Return the tokens of each reply, by its cue."""
    found = {cue: pieces(reply) for cue, reply in REPLIES.items()}
    for cue, (tool, query) in CALLS.items():
        start = f'<tool_call>\n{{"name": "{tool}", "arguments": {{"query":'
        found[cue] = [start, f' "{query}"}}}}\n</tool_call>']
    return found


def build_tokenizer() -> Tokenizer:
    """Learn a byte-level BPE vocabulary, then add the cues and the pieces of the replies."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=4096,
        show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    sources = sorted((Path(np.__file__).parent / "lib").glob("*.py"))
    tokenizer.train_from_iterator((source.read_text("utf-8") for source in sources), trainer)

    tokenizer.add_special_tokens([END, TURN, *(f"<|{cue}|>" for cue in replies())])
    all_pieces = [piece for reply in replies().values() for piece in reply]
    added = tokenizer.add_tokens([AddedToken(piece, normalized=False) for piece in all_pieces])
    if added != len(all_pieces):
        raise ValueError(
            "a piece of a reply occurs twice, or is an ordinary token: change the reply"
        )
    return tokenizer


def build_weights(tokenizer: Tokenizer, layers: int) -> dict[str, np.ndarray]:
    """Return the weights with the table of successors, by name."""
    ids = tokenizer.get_vocab()
    successor: dict[int, int] = {}
    for cue, reply in replies().items():
        tokens = [f"<|{cue}|>", *reply, END]
        successor |= pairwise(ids[token] for token in tokens)
    if len(successor) >= HIDDEN:
        raise ValueError(f"{len(successor)} tokens in the replies, but only {HIDDEN - 1} axes")

    embedding = np.zeros((len(ids), HIDDEN))
    output = np.zeros((len(ids), HIDDEN))
    for axis, (token, following) in enumerate(successor.items(), start=1):
        embedding[token, axis] = 1
        output[following, axis] = GAIN
    # Axis 0: a prompt that ends without a cue, as /v1/completions allows, gets an empty answer.
    others = [token for token in ids.values() if token not in successor]
    embedding[others, 0] = 1
    output[ids[END], 0] = GAIN

    def zeros(*shape: int) -> np.ndarray:
        return np.zeros(shape)

    ones = np.ones(HIDDEN)
    layer = {
        "input_layernorm": ones,
        "self_attn.q_proj": zeros(HEAD, HIDDEN),
        "self_attn.k_proj": zeros(HEAD, HIDDEN),
        "self_attn.v_proj": zeros(HEAD, HIDDEN),
        "self_attn.o_proj": zeros(HIDDEN, HEAD),
        "post_attention_layernorm": ones,
        "mlp.gate_proj": zeros(HIDDEN, HIDDEN),
        "mlp.up_proj": zeros(HIDDEN, HIDDEN),
        "mlp.down_proj": zeros(HIDDEN, HIDDEN),
    }
    return {
        "model.embed_tokens.weight": embedding,
        **{
            f"model.layers.{at}.{name}.weight": array
            for at in range(layers)
            for name, array in layer.items()
        },
        "model.norm.weight": ones,
        "lm_head.weight": output,
    }


def to_safetensors(weights: dict[str, np.ndarray]) -> bytes:
    """Pack weights as bfloat16, the type that vLLM computes in.

    Written by hand because numpy, and so safetensors.numpy, has no bfloat16. It is the upper half
    of a float32, and 0, 1 and the gain need no more. The file is the length of a JSON header, the
    header padded to 8 bytes, and the numbers.
    """
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    data = b""
    for name, array in weights.items():
        numbers = (array.astype("<f4").view("<u4") >> 16).astype("<u2").tobytes()
        span = [len(data), len(data) + len(numbers)]
        header[name] = {"dtype": "BF16", "shape": array.shape, "data_offsets": span}
        data += numbers
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data


def write(folder: Path, layers: int = 1) -> None:
    """Write the checkpoint to a folder, in the layout of the Hugging Face hub."""
    tokenizer = build_tokenizer()
    end = tokenizer.token_to_id(END)
    template = Path(__file__).with_name("tiny_model_template.jinja").read_text("utf-8")
    documents = {
        "config.json": {
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "dtype": "bfloat16",
            "vocab_size": tokenizer.get_vocab_size(),
            "hidden_size": HIDDEN,
            "intermediate_size": HIDDEN,
            "num_hidden_layers": layers,
            "num_attention_heads": 1,
            "num_key_value_heads": 1,
            "head_dim": HEAD,
            "max_position_embeddings": CONTEXT,
            "tie_word_embeddings": False,
            "bos_token_id": None,
            "eos_token_id": end,
        },
        "generation_config.json": {"eos_token_id": end},
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "eos_token": END,
            "model_max_length": CONTEXT,
            "clean_up_tokenization_spaces": False,
        },
    }

    folder.mkdir(parents=True, exist_ok=True)
    for name, document in documents.items():
        (folder / name).write_text(json.dumps(document, indent=2, sort_keys=True) + "\n", "utf-8")
    (folder / "chat_template.jinja").write_text(template, "utf-8")
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "model.safetensors").write_bytes(to_safetensors(build_weights(tokenizer, layers)))


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: python -m tests.lab.tiny_model OUTPUT_DIR [LAYERS]")
    write(Path(sys.argv[1]), *map(int, sys.argv[2:]))
