"""Real tokenizers of a few hundred tokens, trained here, so that no test needs a download."""

from pathlib import Path

import sentencepiece
from transformers import AutoTokenizer, PreTrainedTokenizerBase, SiglipTokenizer

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
    folder.mkdir(parents=True, exist_ok=True)
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(corpus()),
        model_prefix=str(folder / "spiece"),
        vocab_size=300,
        model_type="unigram",
        add_dummy_prefix=True,
        character_coverage=1.0,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    (folder / "spiece.vocab").unlink()
    return _saved_and_loaded(SiglipTokenizer(str(folder / "spiece.model")), folder)


def _saved_and_loaded(tokenizer: PreTrainedTokenizerBase, folder: Path) -> PreTrainedTokenizerBase:
    tokenizer.save_pretrained(folder)
    return AutoTokenizer.from_pretrained(folder)
