"""What people expect of the call of any model of transformers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from transformers import pipeline

from tests.tiny_models import IMAGE_FAMILIES, random_batch, tiny_model
from video_colbert.modeling_video_colbert import VideoColBERTModel, interaction_scores


@torch.no_grad()
def test_output_goes_by_the_names_of_dual_encoders_too() -> None:
    output = tiny_model()(**random_batch(num_queries=3, num_videos=4))
    assert torch.equal(output.logits_per_text, output.scores)
    assert torch.equal(output.logits_per_video, output.scores.T)
    assert torch.equal(output.text_embeds, output.query.query_embeds)
    assert torch.equal(output.video_embeds, output.video.video_embeds)
    zero_shot = tiny_model(score_levels=["frame"])(**random_batch())
    assert zero_shot.video_embeds is None


@torch.no_grad()
def test_of_one_side_alone_its_tokens_are_given_and_no_scores() -> None:
    model, batch = tiny_model(), random_batch(num_queries=3, num_videos=2)
    both = model(**batch)
    texts = model(batch["input_ids"], attention_mask=batch.get("attention_mask"))
    assert list(texts) == ["text_embeds", "query"]
    assert torch.equal(texts.text_embeds, both.text_embeds)
    videos = model(pixel_values_videos=batch["pixel_values_videos"], video_mask=batch.get("video_mask"))
    assert list(videos) == ["video_embeds", "video"]
    assert torch.equal(videos.video.frame_embeds, both.video.frame_embeds)
    with pytest.raises(ValueError, match="input_ids or pixel_values_videos must be given"):
        model()
    with pytest.raises(ValueError, match=r"return_loss=True needs .* and pixel_values_videos"):
        model(batch["input_ids"], return_loss=True)


def test_the_pipeline_that_a_card_names_gives_the_tokens_of_a_text(checkpoint_folder: Path) -> None:
    extract = pipeline("feature-extraction", model=str(checkpoint_folder))
    found = extract("a dog", return_tensors=True)
    model = VideoColBERTModel.from_pretrained(checkpoint_folder).eval()
    with torch.no_grad():
        expected = model.get_text_features(**extract.tokenizer("a dog", return_tensors="pt")).query_embeds
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)


@torch.no_grad()
def test_a_tuple_holds_what_is_set_in_its_order(tmp_path: Path) -> None:
    model = tiny_model()
    batch = random_batch()
    output = model(**batch, return_loss=True)
    found = model(**batch, return_loss=True, return_dict=False)
    assert isinstance(found, tuple)
    assert torch.equal(found[0], output.loss)
    assert torch.equal(found[1], output.scores)
    assert [type(value) for value in found[-2:]] == [tuple, tuple]
    assert all(torch.equal(*pair) for pair in zip(found[-1], output.video.to_tuple(), strict=True))
    assert list(output.video) == ["frame_embeds", "video_embeds", "frame_mask", "video_mask"]
    without_loss = model(**batch, return_dict=False)
    assert torch.equal(without_loss[0], output.scores)
    model.save_pretrained(tmp_path)
    by_config = VideoColBERTModel.from_pretrained(tmp_path, return_dict=False)
    assert torch.equal(by_config(**batch)[0], output.scores)
    query = by_config.get_text_features(batch["input_ids"])
    assert isinstance(query, tuple)
    assert torch.equal(query[0], output.query.query_embeds)
    assert by_config(**batch, return_dict=True).keys() == model(**batch).keys()


@torch.no_grad()
def test_states_of_videos_that_pass_the_tower_apart_are_refused() -> None:
    model, batch = tiny_model("videoprism"), random_batch(num_videos=2)
    with pytest.raises(ValueError, match="2 lengths or frame sizes, or padded, and output_hidden_states"):
        model(**batch, output_hidden_states=True)
    whole = torch.ones_like(batch["video_mask"])
    output = model(**{**batch, "video_mask": whole}, output_hidden_states=True)
    assert output.video.last_hidden_state.shape == (2, 6 * 4, 32)


@pytest.mark.parametrize("family", IMAGE_FAMILIES)
@torch.no_grad()
def test_hidden_states_and_attentions_are_those_of_the_towers(family: str, tmp_path: Path) -> None:
    tiny_model(family).save_pretrained(tmp_path)
    model = VideoColBERTModel.from_pretrained(tmp_path, attn_implementation="eager")
    batch = random_batch(num_queries=3, num_videos=2)
    asked = {"output_hidden_states": True, "output_attentions": True}
    output = model(**batch, **asked)
    pixels = batch["pixel_values_videos"].flatten(0, 1)
    for embeddings, tower in (
        (output.query, model.text_model(input_ids=batch["input_ids"], **asked)),
        (output.video, model.vision_model(pixel_values=pixels, **asked)),
    ):
        assert torch.equal(embeddings.last_hidden_state, tower.last_hidden_state)
        assert len(embeddings.hidden_states) == 4
        assert all(torch.equal(*pair) for pair in zip(embeddings.hidden_states, tower.hidden_states, strict=True))
        assert all(torch.equal(*pair) for pair in zip(embeddings.attentions, tower.attentions, strict=True))
    video = output.video
    assert [tuple(state.shape) for state in video.temporal_hidden_states] == [(2, 8, model.config.projection_dim)] * 3
    assert [tuple(weights.shape) for weights in video.temporal_attentions] == [(2, 4, 8, 8)] * 2
    for weights in video.temporal_attentions:
        torch.testing.assert_close(weights.sum(-1), torch.ones(2, 4, 8))
        # Video 0 has one frame: nothing attends to the five that pad it.
        assert not weights[0, :, :, 1:6].any()
    last = model.temporal_transformer.final_layer_norm(video.temporal_hidden_states[-1])
    expansion = F.normalize(model.temporal_transformer.expansion_output(last[:, 6:]), dim=-1)
    torch.testing.assert_close(video.video_embeds[:, 6:], expansion)
    plain = model(**batch)
    assert torch.equal(plain.scores, output.scores)
    assert plain.query.keys() == {"query_embeds", "query_mask"}


@torch.no_grad()
def test_the_config_may_ask_for_hidden_states(tmp_path: Path) -> None:
    tiny_model().save_pretrained(tmp_path)
    model = VideoColBERTModel.from_pretrained(tmp_path, output_hidden_states=True)
    batch = random_batch()
    assert len(model(**batch).query.hidden_states) == 4
    assert model(**batch, output_hidden_states=False).query.hidden_states is None


@torch.no_grad()
def test_the_attention_implementation_reaches_the_temporal_transformer(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model()
    batch = random_batch()
    model.set_attn_implementation("eager")
    eager = model(**batch)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the fused attention was called")

    with monkeypatch.context() as patch:
        patch.setattr(F, "scaled_dot_product_attention", refuse)
        assert torch.equal(model(**batch).scores, eager.scores)
    model.set_attn_implementation("sdpa")
    torch.testing.assert_close(model(**batch).video_scores, eager.video_scores, rtol=0, atol=1e-5)


def test_eager_and_fused_attention_have_equal_gradients() -> None:
    gradients = []
    for implementation in ("eager", "sdpa"):
        model = tiny_model(temporal_dropout=0.0)
        model.set_attn_implementation(implementation)
        model(**random_batch(), return_loss=True).loss.backward()
        gradients.append(
            {name: parameter.grad for name, parameter in model.named_parameters() if name.startswith("temporal_")}
        )
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradient, gradients[1][name], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    "call",
    [
        lambda model, batch: model(**batch, token_type_ids=batch["input_ids"]),
        lambda model, batch: model(**batch, pixel_values=batch["pixel_values_videos"]),
        lambda model, batch: model.get_text_features(batch["input_ids"], token_type_ids=batch["input_ids"]),
        lambda model, batch: model.get_video_features(batch["pixel_values_videos"], pixel_values=None),
    ],
)
def test_a_keyword_that_nobody_reads_is_refused_by_its_name(
    call: Callable[[VideoColBERTModel, dict[str, Any]], object],
) -> None:
    with pytest.raises(TypeError, match=r"'(token_type_ids|pixel_values)'"):
        call(tiny_model(), random_batch())


def test_main_input_is_the_first_one_and_embeddings_can_be_resized() -> None:
    model = tiny_model()
    assert model.main_input_name == "input_ids"
    assert model.resize_token_embeddings(700).weight.shape[0] == 700
    assert model.config.text_config.vocab_size == 700
    assert model.config.embedding_dim == model.config.projection_dim


@pytest.mark.parametrize("family", ["clip", pytest.param("metaclip_2", marks=pytest.mark.slow), "siglip"])
@torch.no_grad()
def test_exported_with_dynamic_numbers_the_model_scores_equally(family: str) -> None:
    model = tiny_model(family)
    queries, videos = torch.export.Dim("queries", max=64), torch.export.Dim("videos", max=64)
    counts = {
        "input_ids": {0: queries},
        "attention_mask": {0: queries},
        "pixel_values_videos": {0: videos},
        "video_mask": {0: videos},
    }
    exported = torch.export.export(model, (), random_batch(3, 4), dynamic_shapes=counts).module()
    for num_queries, num_videos in ((3, 4), (1, 1), (5, 1), (2, 9)):
        batch = random_batch(num_queries, num_videos, seed=num_queries)
        found, expected = exported(**batch), model(**batch)
        for level in ("scores", "frame_scores", "video_scores"):
            torch.testing.assert_close(found[level], expected[level], rtol=0, atol=1e-6)


class _Interaction(torch.nn.Module):
    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def forward(self, *bags: torch.Tensor) -> torch.Tensor:
        return interaction_scores(self.name, *bags)


@pytest.mark.parametrize("name", ["mean_max_sim", "max_sim", "weighted_token_wise"])
def test_an_interaction_exports_with_dynamic_numbers_of_bags_and_tokens(name: str) -> None:
    def bags(*sizes: int) -> tuple[torch.Tensor, ...]:
        draw = torch.Generator().manual_seed(0)
        num_queries, query_length, num_docs, doc_length = sizes
        query_mask = torch.rand(num_queries, query_length, generator=draw) < 0.7
        doc_mask = torch.rand(num_docs, doc_length, generator=draw) < 0.7
        return (
            torch.randn(num_queries, query_length, 16, generator=draw),
            torch.randn(num_docs, doc_length, 16, generator=draw),
            query_mask,
            doc_mask,
        )

    sizes = [torch.export.Dim(size, max=512) for size in ("num_queries", "query_length", "num_docs", "doc_length")]
    query_sizes, doc_sizes = dict(enumerate(sizes[:2])), dict(enumerate(sizes[2:]))
    module = _Interaction(name)
    exported = torch.export.export(
        module, bags(3, 5, 4, 6), dynamic_shapes=((query_sizes, doc_sizes, query_sizes, doc_sizes),)
    ).module()
    for asked in ((3, 5, 4, 6), (70, 33, 90, 40), (2, 2, 2, 2)):
        torch.testing.assert_close(exported(*bags(*asked)), module(*bags(*asked)), rtol=1e-5, atol=1e-5)
