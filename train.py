"""Trains Video-ColBERT with Accelerate.

    python train.py --recipe recipes/data/msrvtt.yaml recipes/backbone/clip_b32.yaml --data_dir MSRVTT
    accelerate launch train.py --recipe ... --data_dir ...

`python train.py --help` lists the arguments. A run interrupted in any way goes on with
`--resume_from_checkpoint latest`.
"""

import logging
import sys
from pathlib import Path

from accelerate import Accelerator
from accelerate.utils import set_seed
from tqdm import tqdm

from video_colbert.training.arguments import TrainingArguments, parse_arguments
from video_colbert.training.calibration import calibrate
from video_colbert.training.checkpoints import (
    StopSignals,
    TrainingState,
    find_checkpoint,
    save_checkpoint,
)
from video_colbert.training.contrastive_step import contrastive_step
from video_colbert.training.epoch_batches import EpochBatches
from video_colbert.training.model_setup import build_model_and_processor
from video_colbert.training.monitoring import StepMonitor
from video_colbert.training.optimization import build_optimizer, build_scheduler
from video_colbert.training.outputs import push_best_model, save_model
from video_colbert.training.step_batches import StepBatches
from video_colbert.training.training_data import load_training_data
from video_colbert.training.validation import selection_recall, validate
from video_colbert.training.video_text_dataset import build_training_dataset

logger = logging.getLogger("train")


def train(arguments: TrainingArguments) -> int:
    """Runs a training to its end, or to a signal.

    Args:
        arguments: Of the run.

    Returns:
        The exit code: 0, or 3 if some videos could not be decoded.
    """
    output_dir = Path(arguments.output_dir)
    accelerator = Accelerator(
        mixed_precision=arguments.mixed_precision, log_with=arguments.report_to or None, project_dir=output_dir
    )
    set_seed(arguments.seed)
    model, processor = build_model_and_processor(arguments)
    data = load_training_data(arguments)
    dataset = build_training_dataset(data.train, processor, arguments)
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
    state = TrainingState(
        {"seed": arguments.seed, "examples": len(dataset), "batch": batches.global_batch_size, "steps": num_steps}
    )
    accelerator.register_for_checkpointing(scheduler, state)
    # Processes draw different dropout from here on.
    set_seed(arguments.seed, device_specific=True)
    if arguments.resume_from_checkpoint is not None:
        checkpoint = find_checkpoint(output_dir, arguments.resume_from_checkpoint)
        if checkpoint is not None:
            accelerator.load_state(str(checkpoint))
            logger.info("Resumed from %s, step %d of %d.", checkpoint, state.global_step, num_steps)

    step_batches = StepBatches(accelerator, dataset, batches, processor, arguments)
    monitor = StepMonitor(accelerator, arguments, num_videos=dataset.num_videos, state=state)
    progress = tqdm(
        total=num_steps, initial=state.global_step, unit="step", disable=None if accelerator.is_main_process else True
    )
    with StopSignals() as stop:
        while state.global_step < num_steps:
            for micro_batches in step_batches.epoch(state.epoch, state.step_in_epoch):
                if state.global_step == 0:
                    calibrate(accelerator, model, micro_batches)
                losses = contrastive_step(accelerator, model, micro_batches)
                monitor.check(losses, micro_batches)
                gradient_norm = accelerator.clip_grad_norm_(model.parameters(), arguments.max_grad_norm)
                optimizer.step()
                scheduler.step()
                optimizer.zero_grad()
                state.global_step += 1
                state.step_in_epoch += 1
                monitor.record(model, optimizer, losses, gradient_norm, micro_batches, step_batches.seconds_waited)
                progress.update()

                is_last = state.global_step == num_steps
                is_epoch_end = state.step_in_epoch == batches.num_steps
                if is_epoch_end:
                    state.epoch += 1
                    state.step_in_epoch = 0
                if is_last or (is_epoch_end and state.epoch % arguments.eval_epochs == 0):
                    results = validate(accelerator, model, processor, data, arguments)
                    monitor.record_validation(results)
                    save_model(accelerator, model, processor, arguments, results, "last")
                    if selection_recall(results) > state.best_recall:
                        state.best_recall, state.best_epoch = selection_recall(results), state.epoch
                        save_model(accelerator, model, processor, arguments, results, "best")
                should_stop = monitor.any_process(stop.is_requested)
                steps = arguments.checkpointing_steps
                if is_last or is_epoch_end or should_stop or (steps and state.global_step % steps == 0):
                    save_checkpoint(accelerator, output_dir, state.global_step, arguments.checkpoints_total_limit)
                if should_stop and not is_last:
                    logger.warning("Stopped by a signal at step %d; resume with latest.", state.global_step)
                    return 0
                if is_last:
                    break
    progress.close()
    accelerator.end_training()
    if arguments.push_to_hub and accelerator.is_main_process:
        push_best_model(arguments)
    return monitor.report_bad_videos()


def main() -> int:
    """Reads the arguments and trains; a mistake of the user gives one sentence."""
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.INFO)
    try:
        return train(parse_arguments())
    except (ValueError, OSError) as error:
        logger.error("train.py: %s", error)
        return 1


if __name__ == "__main__":
    sys.exit(main())
