"""Checkpoints on the Hugging Face Hub: model card, evaluation results, self-test, publishing and verification."""

from video_colbert.hub.evaluation_files import EVALUATION_FILE, read_evaluation_results, write_evaluation_results
from video_colbert.hub.model_card import build_model_card, write_model_card
from video_colbert.hub.publishing import PublishedCheckpoint, publish_checkpoint
from video_colbert.hub.self_test import SelfTest, make_self_test, write_self_test
from video_colbert.hub.verification import VerificationReport, verify_checkpoint

__all__ = [
    "EVALUATION_FILE",
    "PublishedCheckpoint",
    "SelfTest",
    "VerificationReport",
    "build_model_card",
    "make_self_test",
    "publish_checkpoint",
    "read_evaluation_results",
    "verify_checkpoint",
    "write_evaluation_results",
    "write_model_card",
    "write_self_test",
]
