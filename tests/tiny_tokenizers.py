"""Real tokenizers of a few hundred tokens, trained here, so that no test needs a download."""

import io
from pathlib import Path
from typing import Any

import sentencepiece
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    AutoTokenizer,
    GemmaTokenizer,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
    SiglipTokenizer,
    VideoPrismTokenizer,
    XLMRobertaTokenizer,
)

from tests.captions_in_ten_languages import CAPTIONS
from video_colbert.training.tiny_backbones import train_clip_tokenizer

_COLOURS = ("red", "green", "blue", "yellow", "white", "black", "orange", "purple")
_SHAPES = ("square", "circle", "triangle", "cube", "star", "ball")
_MOTIONS = ("moves left", "moves right", "grows", "shrinks", "rises", "falls", "stands still", "turns around")
_OTHERS = (
    "a man rides a bicycle through the city, then he stops and waits",
    "the woman's dog runs across the park; it doesn't look back",
    "two people are cooking dinner in a small kitchen while music plays",
    "0 1 2 3 4 5 6 7 8 9 first second third until after before while and then",
    "abcdefghijklmnopqrstuvwxyz . , ; : ! ? ' - ( )",
)


def corpus() -> list[str]:
    """The captions that the tokenizers are trained on."""
    scenes = [f"a {colour} {shape} {motion}" for colour in _COLOURS for shape in _SHAPES for motion in _MOTIONS]
    pairs = [f"{first}, then {second}" for first, second in zip(scenes, scenes[7:] + scenes[:7], strict=True)]
    return [*scenes, *pairs, *_OTHERS]


def build_clip_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """Trains CLIP's byte-level BPE (`</w>` at word ends, BOS and EOT) and saves it in `folder`."""
    return _saved_and_loaded(train_clip_tokenizer(corpus()), folder)


def build_siglip_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """Trains SigLIP's SentencePiece model (`▁` at word starts, EOS, no BOS) and saves it in `folder`."""
    special = {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1}
    model = _train_sentencepiece(
        folder / "spiece.model", corpus(), vocab_size=300, add_dummy_prefix=True, model_type="unigram", **special
    )
    return _saved_and_loaded(SiglipTokenizer(str(model)), folder)


def build_metaclip_2_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """Trains MetaCLIP 2's SentencePiece model, that of XLM-V: many scripts, BOS and EOS; and saves it in `folder`."""
    special = {"unk_id": 0, "bos_id": 1, "eos_id": 2}
    texts = [*corpus(), *CAPTIONS.values()]
    _train_sentencepiece(folder / "sentencepiece.bpe.model", texts, vocab_size=600, model_type="unigram", **special)
    return _saved_and_loaded(XLMRobertaTokenizer.from_pretrained(folder), folder)


def build_siglip_2_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """Trains SigLIP 2's SentencePiece model, that of Gemma: pairs merged, bytes for what is unknown, EOS, no BOS."""
    _train_sentencepiece(
        folder / "tokenizer.model",
        [*corpus(), *CAPTIONS.values()],
        vocab_size=1000,
        model_type="bpe",
        byte_fallback=True,
        add_dummy_prefix=False,
        remove_extra_whitespaces=False,
        normalization_rule_name="identity",
        user_defined_symbols=["<mask>"],
        **{"pad_id": 0, "eos_id": 1, "bos_id": 2, "unk_id": 3, "eos_piece": "<eos>", "bos_piece": "<bos>"},
    )
    return _saved_and_loaded(GemmaTokenizer.from_pretrained(folder, add_bos_token=False, add_eos_token=True), folder)


def build_videoprism_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """Trains VideoPrism's SentencePiece model (`▁` at word starts, neither BOS nor EOS) and saves it in `folder`."""
    special = {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1, "pad_piece": "<pad>"}
    _train_sentencepiece(folder / "spiece.model", corpus(), vocab_size=300, model_type="unigram", **special)
    tokenizer = VideoPrismTokenizer.from_pretrained(folder, extra_ids=0)
    return _saved_and_loaded(tokenizer, folder)


def build_modernbert_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """Trains ModernBERT's byte-level BPE (spaces begin words; CLS and SEP around a text) and saves it in `folder`."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]"]
    trainer = trainers.BpeTrainer(
        vocab_size=500,
        special_tokens=special,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus(), trainer)
    ends = [("[CLS]", tokenizer.token_to_id("[CLS]")), ("[SEP]", tokenizer.token_to_id("[SEP]"))]
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    names = {f"{name}_token": f"[{name.upper()}]" for name in ("cls", "pad", "sep", "unk", "mask")}
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=8192, **names)
    return _saved_and_loaded(fast, folder)


def _train_sentencepiece(file: Path, texts: list[str], **options: Any) -> Path:
    """Trains a SentencePiece model that knows every character of its texts, and writes it to a file."""
    model = io.BytesIO()
    fixed = {"character_coverage": 1.0, "hard_vocab_limit": False, "minloglevel": 2}
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(texts), model_writer=model, **fixed, **options)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(model.getvalue())
    return file


def _saved_and_loaded(tokenizer: PreTrainedTokenizerBase, folder: Path) -> PreTrainedTokenizerBase:
    tokenizer.save_pretrained(folder)
    return AutoTokenizer.from_pretrained(folder)
