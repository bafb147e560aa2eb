"""Tiny text checkpoints with random weights, in each form that a text model is published in."""

import json
import string
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from sentence_transformers import MultiVectorEncoder, SentenceTransformer
from sentence_transformers.base.modules import Normalize, Transformer
from sentence_transformers.base.modules.dense import Dense
from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask
from sentence_transformers.sentence_transformer.modules import Pooling
from transformers import BertConfig, BertModel, BertTokenizerFast

WIDTH, PROJECTED = 32, 16
_SPECIAL = ["[PAD]", "[unused0]", "[unused1]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
_TEXT = (
    "a the of in on is are was leaf leaves plant plants sun light water make makes energy how red green river runs "
    "city teacher explains photosynthesis engine number report year costs "
    "door opens music plays dog catches ball night"
)
_WORDS = _TEXT.split()
_LETTERS = list(string.ascii_lowercase + string.digits + string.punctuation)

PASSAGES = [
    f"{first} {second}, {third} {number}."
    for number, (first, second, third) in enumerate(
        zip(_WORDS, _WORDS[5:] + _WORDS[:5], _WORDS[17:] + _WORDS[:17], strict=True)
    )
]
"""Fifty texts of any content, with punctuation and numbers."""

QUERIES = ["how leaves make energy", "the red dog", "report of the year 7", "music, at night!"]


def save_plain(folder: Path, *, seed: int = 0) -> Path:
    """A text encoder as transformers saves it, without a projection."""
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = [*_SPECIAL, *_WORDS, *(f"##{letter}" for letter in _LETTERS), *_LETTERS]
    (folder / "vocab.txt").write_text("\n".join(dict.fromkeys(vocabulary)))
    tokenizer = BertTokenizerFast(str(folder / "vocab.txt"), model_max_length=64)
    tokenizer.save_pretrained(folder)
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=48,
        max_position_embeddings=64,
        # Random tokens of a small model are all alike otherwise.
        initializer_range=0.3,
    )
    BertModel(config).save_pretrained(folder)
    return folder


def save_sentence_transformer(folder: Path) -> Path:
    """A sentence encoder of sentence-transformers, without a projection."""
    backbone = save_plain(folder.with_name(f"{folder.name}_backbone"))
    modules = [Transformer(str(backbone)), Pooling(WIDTH)]
    SentenceTransformer(modules=modules, device="cpu").save(str(folder))
    return folder


def save_native(folder: Path, *, similarity: str = "meanmaxsim", projection_seed: int = 1) -> Path:
    """A checkpoint of sentence-transformers' own, with queries of any length and a mean over their tokens."""
    backbone = save_plain(folder.with_name(f"{folder.name}_backbone"))
    torch.manual_seed(projection_seed)
    modules = [
        Transformer(str(backbone), document_length=40),
        Dense(
            WIDTH, PROJECTED, bias=False, activation_function=torch.nn.Identity(), module_input_name="token_embeddings"
        ),
        MultiVectorMask(skiplist_words=["."]),
        Normalize(module_input_name="token_embeddings"),
    ]
    model = MultiVectorEncoder(
        modules=modules, device="cpu", prompts={"query": "a ", "document": "the "}, similarity_fn_name=similarity
    )
    model.save(str(folder))
    return folder


def save_pylate(folder: Path) -> Path:
    """A checkpoint as PyLate 1 saves it: markers as added tokens, queries of 32 tokens."""
    save_plain(folder)
    tokenizer = BertTokenizerFast.from_pretrained(folder)
    tokenizer.add_tokens(["[Q] ", "[D] "])
    tokenizer.save_pretrained(folder)
    model = BertModel.from_pretrained(folder)
    model.resize_token_embeddings(len(tokenizer))
    model.save_pretrained(folder)
    settings = {
        "model_type": "ColBERT",
        "prompts": {},
        "default_prompt_name": None,
        "similarity_fn_name": "MaxSim",
        "query_prefix": "[Q] ",
        "document_prefix": "[D] ",
        "query_length": 32,
        "document_length": 48,
        "attend_to_expansion_tokens": False,
        "skiplist_words": list(string.punctuation),
    }
    (folder / "config_sentence_transformers.json").write_text(json.dumps(settings))
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 47, "do_lower_case": False}))
    modules = [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Dense", "type": "pylate.models.Dense.Dense"},
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Dense").mkdir()
    dense = {
        "in_features": WIDTH,
        "out_features": PROJECTED,
        "bias": False,
        "activation_function": "torch.nn.modules.linear.Identity",
    }
    (folder / "1_Dense" / "config.json").write_text(json.dumps(dense))
    save_file({"linear.weight": _projection(2)}, folder / "1_Dense" / "model.safetensors")
    return folder


def save_stanford(folder: Path) -> Path:
    """A checkpoint as Stanford's ColBERTv2 is published: the projection beside the encoder's weights."""
    save_plain(folder)
    weights = {f"bert.{name}": weight for name, weight in load_file(folder / "model.safetensors").items()}
    save_file({**weights, "linear.weight": _projection(3)}, folder / "model.safetensors", {"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "architectures": ["HF_ColBERT"]}))
    settings = {
        "query_token_id": "[unused0]",
        "doc_token_id": "[unused1]",
        "query_maxlen": 32,
        "doc_maxlen": 48,
        "mask_punctuation": True,
        "attend_to_mask_tokens": False,
    }
    (folder / "artifact.metadata").write_text(json.dumps(settings))
    return folder


def _projection(seed: int) -> torch.Tensor:
    return torch.randn(PROJECTED, WIDTH, generator=torch.Generator().manual_seed(seed))
