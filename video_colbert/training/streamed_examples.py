"""The examples of a run over all rows of its data, or over window after window of a stream."""

from __future__ import annotations

from pathlib import Path

from video_colbert.data.opened.row_stream import RowWindows
from video_colbert.processing import VideoColBERTProcessor
from video_colbert.training.arguments import TrainingArguments
from video_colbert.training.training_data import TrainingData
from video_colbert.training.video_text_dataset import VideoTextDataset, build_training_dataset


class StreamedExamples:
    """Examples of a stream; each epoch of the run is a window of it.

    Args:
        windows: Of the stream.
        processor: Of the model.
        arguments: Of the run.
        num_videos: Rows that the whole run sees.
    """

    def __init__(
        self, windows: RowWindows, processor: VideoColBERTProcessor, arguments: TrainingArguments, num_videos: int
    ) -> None:
        self.windows = windows
        self.processor = processor
        self.arguments = arguments
        self.num_videos = num_videos

    def __len__(self) -> int:
        return self.windows.size

    def of_epoch(self, epoch: int) -> VideoTextDataset:
        """Reads a window of the stream, in place of the one before.

        Raises:
            DatasetError: The data set cannot be read.
            OSError: Content cannot be written.
        """
        return build_training_dataset(self.windows.window(epoch), self.processor, self.arguments)


def build_examples(
    data: TrainingData, processor: VideoColBERTProcessor, arguments: TrainingArguments, *, num_processes: int = 1
) -> VideoTextDataset | StreamedExamples:
    """Builds the examples of a run.

    Args:
        data: The run's rows.
        processor: Of the model.
        arguments: Of the run.
        num_processes: Training processes.

    Raises:
        ValueError: A window of the stream holds less than a batch, or no row has both a video and a caption.
    """
    if data.stream is None:
        return build_training_dataset(data.train, processor, arguments, num_processes=num_processes)
    batch = arguments.per_device_train_batch_size * arguments.gradient_accumulation_steps * num_processes
    if arguments.stream_window < batch:
        raise ValueError(
            f"stream_window is {arguments.stream_window}, which does not fill one batch of {batch} "
            "(per_device_train_batch_size x gradient_accumulation_steps x processes); give a larger one."
        )
    windows = RowWindows(
        data.stream,
        # Whole batches, so that no row of a window is left out.
        arguments.stream_window // batch * batch,
        Path(str(data.folder)) / "window",
        without=frozenset(row["video_id"] for row in data.validation),
    )
    return StreamedExamples(windows, processor, arguments, batch * (arguments.max_train_steps or 1))


__all__ = ["StreamedExamples", "build_examples"]
