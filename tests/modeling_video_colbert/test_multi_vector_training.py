"""The library's trainer over our model: it learns, and what it saves is a checkpoint of ours."""

from pathlib import Path

import pytest
import torch
from datasets import Dataset
from sentence_transformers import MultiVectorEncoder, MultiVectorEncoderTrainer
from sentence_transformers.multi_vector_encoder.losses import MultiVectorMultipleNegativesRankingLoss
from sentence_transformers.multi_vector_encoder.scoring import mean_colbert_scores
from sentence_transformers.multi_vector_encoder.training_args import MultiVectorEncoderTrainingArguments

from tests.video_files import write_clip
from video_colbert import VideoColBERTEncoder
from video_colbert.modeling_video_colbert.multi_vector_video_colbert import VideoColBERTMultiVector


@pytest.mark.usefixtures("quiet_datasets")
def test_two_steps_change_the_weights_and_the_saved_folder_is_a_checkpoint(
    checkpoint_folder: Path, tmp_path: Path
) -> None:
    clips = [str(write_clip(tmp_path / f"{seed}.mp4", seed)) for seed in range(4)]
    encoder = VideoColBERTEncoder.from_pretrained(checkpoint_folder, device="cpu")
    before = encoder.model.query_head.weight.detach().clone()
    model = MultiVectorEncoder(
        modules=[VideoColBERTMultiVector(encoder.model, encoder.processor)],
        device="cpu",
        similarity_fn_name="meanmaxsim",
    )
    rows = Dataset.from_dict({"query": [f"colour number {seed}" for seed in range(4)], "document": clips})
    arguments = MultiVectorEncoderTrainingArguments(
        output_dir=str(tmp_path / "run"),
        max_steps=2,
        per_device_train_batch_size=2,
        learning_rate=1e-3,
        use_cpu=True,
        report_to="none",
        save_strategy="no",
        disable_tqdm=True,
    )
    loss = MultiVectorMultipleNegativesRankingLoss(model, similarity_fct=mean_colbert_scores)
    trainer = MultiVectorEncoderTrainer(model=model, args=arguments, train_dataset=rows, loss=loss)
    assert trainer.train().global_step == 2
    assert not torch.equal(encoder.model.query_head.weight, before)

    model.save_pretrained(str(tmp_path / "saved"), create_model_card=False)
    saved = VideoColBERTEncoder.from_pretrained(tmp_path / "saved", device="cpu")
    expected = model.similarity(model.encode_query(["a dog"]), model.encode_document(clips))
    frames = saved.encode_queries(["a dog"]).bags_of("frame").embeds
    videos = [video.embeds["frame"] for video in saved.encode_videos(clips)]
    own = torch.stack([(frames[0] @ video.T).amax(1).mean() for video in videos])
    torch.testing.assert_close(expected[0], own, rtol=0, atol=1e-5)
