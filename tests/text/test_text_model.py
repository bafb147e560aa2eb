"""Text models in each form that they are published in, against sentence-transformers' own calls."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from sentence_transformers import MultiVectorEncoder

from tests.text.tiny_text_models import (
    PASSAGES,
    PROJECTED,
    QUERIES,
    WIDTH,
    save_native,
    save_plain,
    save_pylate,
    save_sentence_transformer,
    save_stanford,
)
from video_colbert.encoding.encoded import TEXT_LEVEL, TEXT_MODEL
from video_colbert.errors import ModelLoadError
from video_colbert.text.text_model import TextModel

FORMS = {"native": save_native, "pylate": save_pylate, "stanford": save_stanford}


@pytest.fixture(scope="module", params=FORMS)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    save: Callable[[Path], Path] = FORMS[request.param]
    return save(tmp_path_factory.mktemp("models") / request.param)


def test_tokens_are_those_of_the_library(folder: Path) -> None:
    model = TextModel.from_pretrained(folder, device="cpu")
    theirs = MultiVectorEncoder(str(folder), device="cpu")
    for found, expected in zip(model.encode_passages(PASSAGES), theirs.encode_document(PASSAGES), strict=True):
        torch.testing.assert_close(found.embeds, expected, rtol=0, atol=1e-6)
        assert len(found.spans) == len(found.embeds)
    queries = model.encode_queries(QUERIES)
    bags = queries.bags_of(TEXT_LEVEL)
    for number, expected in enumerate(theirs.encode_query(QUERIES)):
        torch.testing.assert_close(bags.embeds[number][bags.mask[number]], expected, rtol=0, atol=1e-6)
    assert model.similarity == str(theirs.similarity_fn_name)
    assert model.dimension == PROJECTED


def test_queries_are_expanded_and_punctuation_is_skipped_as_colbert_does(tmp_path: Path) -> None:
    model = TextModel.from_pretrained(save_stanford(tmp_path / "stanford"), device="cpu")
    assert model.encode_queries(QUERIES).bags[TEXT_MODEL].mask.sum(dim=1).tolist() == [32] * len(QUERIES)
    spelled, bare = model.encode_passages(["leaf, sun.", "leaf sun"])
    # The class, the marker, two words and the end.
    assert len(spelled.embeds) == len(bare.embeds) == 5
    assert spelled.spans == ((0, 0), (0, 0), (0, 4), (6, 9), (0, 0))


def test_a_text_that_is_longer_than_the_model_takes_is_known_to_be_cut(folder: Path) -> None:
    model = TextModel.from_pretrained(folder, device="cpu")
    assert [text.is_cut for text in model.encode_passages(["red leaves", "red leaves " * 60])] == [False, True]
    assert model.encode_queries(["red leaves", "red leaves " * 60]).truncated == [1]


def test_words_of_a_query_know_their_tokens(folder: Path) -> None:
    model = TextModel.from_pretrained(folder, device="cpu")
    [words] = model.encode_queries(["red zebra"]).bags[TEXT_MODEL].words
    assert [word.word for word in words] == ["red", "zebra"]
    assert len(words[0].token_positions) == 1
    # It is spelled in letters.
    assert len(words[1].token_positions) == 5


@pytest.mark.parametrize("save", [save_plain, save_sentence_transformer])
def test_an_encoder_without_a_projection_is_used_without_one(save: Callable[[Path], Path], tmp_path: Path) -> None:
    folder = save(tmp_path / "plain")
    model = TextModel.from_pretrained(folder, device="cpu")
    assert model.dimension == WIDTH
    [found] = model.encode_passages(["red leaves make energy"])
    [again] = TextModel.from_pretrained(folder, device="cpu").encode_passages(["red leaves make energy"])
    assert torch.equal(found.embeds, again.embeds)
    torch.testing.assert_close(found.embeds.norm(dim=1), torch.ones(6))


def test_a_plain_encoder_gives_its_normalised_token_states(tmp_path: Path) -> None:
    from transformers import AutoModel, AutoTokenizer

    folder = save_plain(tmp_path / "plain")
    [found] = TextModel.from_pretrained(folder, device="cpu").encode_passages(["red leaves"])
    inputs = AutoTokenizer.from_pretrained(folder)("red leaves", return_tensors="pt")
    with torch.inference_mode():
        [states] = AutoModel.from_pretrained(folder).eval()(**inputs).last_hidden_state
    torch.testing.assert_close(found.embeds, torch.nn.functional.normalize(states, dim=1), rtol=0, atol=1e-6)


def test_two_processes_agree_on_the_model_and_its_tokens(tmp_path: Path) -> None:
    folder = save_plain(tmp_path / "plain")
    code = (
        "import json, sys\n"
        "from video_colbert.text.text_model import TextModel\n"
        "model = TextModel.from_pretrained(sys.argv[1], device='cpu')\n"
        "print(json.dumps([model.reference.revision, model.encode_passages(['red leaves'])[0].embeds.tolist()]))\n"
    )
    printed = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True)
    revision, tokens = json.loads(printed.stdout)
    model = TextModel.from_pretrained(folder, device="cpu")
    assert model.reference.revision == revision
    torch.testing.assert_close(
        model.encode_passages(["red leaves"])[0].embeds, torch.tensor(tokens), rtol=0, atol=1e-6
    )


def test_another_projection_is_another_model(tmp_path: Path) -> None:
    first, same, other = (
        TextModel.from_pretrained(save_native(tmp_path / str(number) / "model", projection_seed=seed), device="cpu")
        for number, seed in enumerate((1, 1, 2))
    )
    assert first.reference.revision == same.reference.revision != other.reference.revision


def test_scores_are_sums_or_means_as_the_checkpoint_says(tmp_path: Path) -> None:
    for similarity in ("maxsim", "meanmaxsim"):
        folder = save_native(tmp_path / similarity, similarity=similarity)
        model = TextModel.from_pretrained(folder, device="cpu")
        queries = model.encode_queries(["red", "red leaves make energy"])
        lengths = [4.0, 7.0] if similarity == "maxsim" else [1.0, 1.0]
        assert model.score_factors(queries) == lengths


def test_what_cannot_be_loaded_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelLoadError, match=r"empty' holds no weights: model.safetensors is missing"):
        TextModel.from_pretrained(tmp_path / "empty")
    folder = save_plain(tmp_path / "cut")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(ModelLoadError, match="cut' cannot be loaded: "):
        TextModel.from_pretrained(folder)
    with pytest.raises(ModelLoadError, match="is a folder, which has no revision 'main'"):
        TextModel.from_pretrained(folder, revision="main")
