"""A whole training run, from its arguments to the best model."""

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from accelerate.utils import set_seed
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from video_colbert.console import ExitCode
from video_colbert.data.fetched_copies import fetch_copy
from video_colbert.errors import VideoColBERTError
from video_colbert.training.accelerator_setup import build_accelerator
from video_colbert.training.arguments import TrainingArguments, parse_arguments
from video_colbert.training.calibration.logit_bias import set_logit_bias
from video_colbert.training.contrastive_step import contrastive_step
from video_colbert.training.epoch_batches import EpochBatches
from video_colbert.training.hardening.adversarial_batches import adversarial_batches
from video_colbert.training.model_setup import build_model_and_processor
from video_colbert.training.monitoring import StepMonitor
from video_colbert.training.optimization import GroupSettings, build_optimizer, build_scheduler
from video_colbert.training.outputs import BEST, LAST, check_hub_access, push_best_model, save_model
from video_colbert.training.run_state.checkpoints import (
    StopSignals,
    TrainingState,
    resume,
    save_checkpoint,
)
from video_colbert.training.run_state.run_identity import run_identity
from video_colbert.training.step_batches import StepBatches
from video_colbert.training.streamed_examples import build_examples
from video_colbert.training.training_data import load_training_data
from video_colbert.training.validation import validate

logger = logging.getLogger(__name__)


def train(arguments: TrainingArguments) -> int:
    """Runs a training to its end, or to a signal.

    Args:
        arguments: Of the run.

    Returns:
        The exit code: 0, 3 if some videos could not be decoded, or 128 and the number of the signal.

    Raises:
        VideoColBERTError: The run cannot go on, or the Hub refuses the model.
        ValueError: The arguments do not fit the data or the model.
        OSError: A model or a file of the data is missing.
    """
    if arguments.push_to_hub:
        check_hub_access()
    output_dir = Path(arguments.output_dir)
    accelerator = build_accelerator(arguments)
    if not accelerator.is_main_process:
        # They see what the main process sees, and would say it again.
        logging.getLogger().setLevel(logging.ERROR)
    set_seed(arguments.seed)
    if arguments.mirror:
        if accelerator.num_processes > 1:
            raise ValueError(
                "mirror fetches in one process, and others would wait for it for hours; run `video-colbert prepare "
                f"{arguments.dataset} --data-dir {arguments.data_dir} --mirror` first, and then train without it."
            )
        logger.info("%s", fetch_copy(arguments.dataset, arguments.data_dir))
    start = build_model_and_processor(arguments)
    model, processor = start.model, start.processor
    data = load_training_data(arguments, process=accelerator.process_index)
    dataset = build_examples(data, processor, arguments, num_processes=accelerator.num_processes)
    batches = EpochBatches(
        len(dataset),
        arguments.per_device_train_batch_size,
        micro_batches_per_step=arguments.gradient_accumulation_steps,
        seed=arguments.seed,
        rank=accelerator.process_index,
        world_size=accelerator.num_processes,
    )
    num_steps = arguments.max_train_steps or arguments.num_train_epochs * batches.num_steps
    optimizer = build_optimizer(model, arguments)
    scheduler = build_scheduler(optimizer, num_steps, arguments)
    model, optimizer = accelerator.prepare(model, optimizer)
    # The main process alone compares and saves it.
    identity = (
        {}
        if not accelerator.is_main_process
        else run_identity(
            arguments,
            data,
            start.reference,
            examples=len(dataset),
            batch=batches.global_batch_size,
            steps=num_steps,
            # Each draws dropout of its own, so the same batch over other processes is not the same run.
            processes=accelerator.num_processes,
        )
    )
    state = TrainingState(identity)
    group_settings = GroupSettings(scheduler)
    accelerator.register_for_checkpointing(scheduler)
    # Processes draw different dropout from here on.
    set_seed(arguments.seed, device_specific=True)
    checkpoint = resume(
        accelerator,
        output_dir,
        arguments.resume_from_checkpoint,
        state,
        allow_changes=arguments.allow_changes,
    )
    if checkpoint is not None:
        if arguments.allow_changes:
            group_settings.put_back()
        if state.step_in_epoch >= batches.num_steps:
            # Of an epoch that had more steps.
            state.epoch, state.step_in_epoch = state.epoch + 1, 0
        accelerator.unwrap_model(model).config.logit_bias_calibration = state.logit_bias_calibration
        logger.info("Resumed from %s, step %d of %d.", checkpoint, state.global_step, num_steps)

    step_batches = StepBatches(
        accelerator, dataset, batches, processor, arguments, accelerator.unwrap_model(model).config
    )
    normalize = processor.video_processor.normalize
    monitor = StepMonitor(accelerator, arguments, num_videos=dataset.num_videos, state=state)
    disable = None if accelerator.is_main_process else True
    progress = tqdm(total=num_steps, initial=state.global_step, unit="step", disable=disable)
    with StopSignals() as stop, progress, logging_redirect_tqdm(), data.kept():
        while state.global_step < num_steps:
            for micro_batches in step_batches.epoch(state.epoch, state.step_in_epoch):
                monitor.check_videos(micro_batches)
                if state.global_step == 0:
                    state.logit_bias_calibration = set_logit_bias(accelerator, model, micro_batches, normalize)
                if arguments.adversarial_budget:
                    micro_batches = adversarial_batches(
                        accelerator.unwrap_model(model),
                        micro_batches,
                        processor.video_processor,
                        budget=arguments.adversarial_budget,
                        steps=arguments.adversarial_steps,
                        # A resumed run begins as the first would have.
                        seed=arguments.seed + state.global_step,
                    )
                losses = contrastive_step(accelerator, model, micro_batches, normalize)
                gradient_norm = accelerator.clip_grad_norm_(model.parameters(), arguments.max_grad_norm)
                monitor.check_loss(losses, gradient_norm, micro_batches)
                optimizer.step()
                scheduler.step()
                optimizer.zero_grad()
                state.global_step += 1
                state.step_in_epoch += 1
                monitor.record(
                    model, optimizer, losses, gradient_norm, micro_batches, step_batches.seconds_waited, num_steps
                )
                progress.update()

                is_last = state.global_step == num_steps
                is_epoch_end = state.step_in_epoch == batches.num_steps
                if is_epoch_end:
                    state.epoch += 1
                    state.step_in_epoch = 0
                if is_last or (is_epoch_end and state.epoch % arguments.eval_epochs == 0):
                    found = validate(accelerator, model, processor, data, arguments)
                    monitor.record_validation(found)
                    save = partial(save_model, accelerator, model, processor, arguments, found.results)
                    save(LAST, steps=state.global_step, seconds=state.seconds)
                    if found.selection_recall > state.best_recall:
                        state.best_recall, state.best_epoch = found.selection_recall, state.epoch
                        save(BEST, steps=state.global_step, seconds=state.seconds)
                received = monitor.largest_of_processes(stop.received)
                steps = arguments.checkpointing_steps
                if is_last or is_epoch_end or received or (steps and state.global_step % steps == 0):
                    save_checkpoint(accelerator, output_dir, state, arguments.checkpoints_total_limit)
                if received and not is_last:
                    logger.warning(
                        "Stopped by signal %d after step %d of %d; go on with --resume_from_checkpoint latest.",
                        received,
                        state.global_step,
                        num_steps,
                    )
                    return 128 + received
                if is_last:
                    break
    accelerator.end_training()
    monitor.say_what_is_next()
    if arguments.push_to_hub and accelerator.is_main_process:
        logger.info("Published: %s", push_best_model(arguments))
    return monitor.report_bad_videos()


def run_command_line(argv: Sequence[str] | None = None, *, program: str = "train.py") -> int:
    """Reads the arguments and trains; what a user can put right gives one sentence.

    Args:
        argv: Command line; `None` takes the process's own.
        program: What the user typed before the arguments, for `--help` and errors.

    Returns:
        The exit code: as `train`, or 1 for a mistake.
    """
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.INFO)
    # Several lines for each checkpoint.
    logging.getLogger("accelerate").setLevel(logging.WARNING)
    try:
        return train(parse_arguments(argv, program=program))
    except (VideoColBERTError, ValueError, OSError) as error:
        logger.error("%s: %s", program, error)
        return ExitCode.FAILED
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED


__all__ = ["run_command_line", "train"]
