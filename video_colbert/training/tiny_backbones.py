"""Tiny random CLIP backbones with a tokenizer of their own, to train from nothing on a small machine."""

import json
from collections.abc import Iterable
from pathlib import Path

import torch
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import CLIPConfig, CLIPModel, CLIPTokenizer, PreTrainedTokenizerBase


def train_clip_tokenizer(captions: Iterable[str], vocab_size: int = 500) -> PreTrainedTokenizerBase:
    """Trains CLIP's kind of tokenizer: byte-level BPE, `</w>` at word ends, BOS and EOT.

    Args:
        captions: What it is trained on.
        vocab_size: The most tokens that training gives.

    Returns:
        The tokenizer; the same captions give the same one.
    """
    tokenizer = Tokenizer(models.BPE(continuing_subword_prefix="", end_of_word_suffix="</w>"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = CLIPTokenizer().backend_tokenizer.pre_tokenizer
    special = [AddedToken("<|startoftext|>", special=True), AddedToken("<|endoftext|>", special=True)]
    captions = list(captions)
    pieces = (
        piece
        for caption in captions
        for piece, _ in tokenizer.pre_tokenizer.pre_tokenize_str(tokenizer.normalizer.normalize_str(caption))
    )
    # The trainer numbers word ends as it meets them in a hash map, and breaks ties between merges by number; what it
    # takes for special tokens it numbers first, in their order.
    word_ends = [AddedToken(f"{character}</w>") for character in sorted({piece[-1] for piece in pieces})]
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=special + word_ends,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        end_of_word_suffix="</w>",
        show_progress=False,
    )
    tokenizer.train_from_iterator(captions, trainer)
    merges = [tuple(merge) for merge in json.loads(tokenizer.to_str())["model"]["merges"]]
    merged = ["".join(merge) for merge in merges]
    # The trainer numbers single characters in no fixed order.
    characters = sorted(tokenizer.get_vocab().keys() - {token.content for token in special} - set(merged))
    vocabulary = {token: number for number, token in enumerate([*map(str, special), *characters, *merged])}
    # Any byte that may end a word has a token for that, as in CLIP's own vocabulary.
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    for character in map(chr, [*range(0x21, 0x7F), *range(0x80, 0xC0)]):
        [(encoded, _)] = byte_level.pre_tokenize_str(character.lower())
        vocabulary.setdefault(f"{encoded[-1]}</w>", len(vocabulary))
    return CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=77)


def save_tiny_clip_backbone(
    folder: Path,
    tokenizer: PreTrainedTokenizerBase,
    *,
    width: int = 64,
    num_layers: int = 2,
    image_size: int = 64,
    patch_size: int = 16,
    text_length: int = 77,
    seed: int = 0,
) -> Path:
    """Saves a random CLIP checkpoint: model, tokenizer and image settings.

    Args:
        folder: Where to.
        tokenizer: Of the text tower.
        width: Of both towers and of the joint space.
        num_layers: Of both towers.
        image_size: Side of the frames, in pixels.
        patch_size: Side of a patch, in pixels.
        text_length: Positions of the text tower.
        seed: Of the weights.

    Returns:
        The folder.
    """
    size = {
        "hidden_size": width,
        "intermediate_size": 2 * width,
        "num_hidden_layers": num_layers,
        "num_attention_heads": 4,
    }
    tokens = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    config = CLIPConfig(
        text_config={
            **size,
            **tokens,
            "vocab_size": len(tokenizer),
            "pad_token_id": tokenizer.pad_token_id,
            "max_position_embeddings": text_length,
        },
        vision_config={**size, "image_size": image_size, "patch_size": patch_size},
        projection_dim=width,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = CLIPModel(config)
        # CLIP's own start would make frame tokens six times longer, which training from nothing takes long to turn.
        for projection in (model.text_projection, model.visual_projection):
            torch.nn.init.normal_(projection.weight, std=0.02)
        model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    square = {"height": image_size, "width": image_size}
    settings = {
        "image_processor_type": "CLIPImageProcessor",
        "size": {"shortest_edge": image_size},
        "do_center_crop": True,
        "crop_size": square,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
        "resample": 3,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    return folder


__all__ = ["save_tiny_clip_backbone", "train_clip_tokenizer"]
