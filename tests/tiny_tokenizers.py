"""Real tokenizers of a few hundred tokens, trained here, so that no test needs a download."""

import json
from pathlib import Path

import sentencepiece
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import AutoTokenizer, CLIPTokenizer, PreTrainedTokenizerBase, SiglipTokenizer

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
    tokenizer = Tokenizer(models.BPE(continuing_subword_prefix="", end_of_word_suffix="</w>"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = CLIPTokenizer().backend_tokenizer.pre_tokenizer
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    special = [AddedToken("<|startoftext|>", special=True), AddedToken("<|endoftext|>", special=True)]
    trainer = trainers.BpeTrainer(
        vocab_size=500,
        special_tokens=special,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        end_of_word_suffix="</w>",
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus(), trainer)
    merges = [tuple(merge) for merge in json.loads(tokenizer.to_str())["model"]["merges"]]
    # The trainer numbers single characters in no fixed order.
    merged = ["".join(merge) for merge in merges]
    tokens = tokenizer.get_vocab().keys() - {token.content for token in special} - set(merged)
    vocabulary = {token: number for number, token in enumerate([*map(str, special), *sorted(tokens), *merged])}
    # Any byte that may end a word has a token for that, as in CLIP's own vocabulary.
    for character in map(chr, [*range(0x21, 0x7F), *range(0x80, 0xC0)]):
        [(encoded, _)] = byte_level.pre_tokenize_str(character.lower())
        vocabulary.setdefault(f"{encoded[-1]}</w>", len(vocabulary))
    return _saved_and_loaded(CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=77), folder)


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
