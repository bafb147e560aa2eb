"""What `transformers.Trainer` needs to train this model: examples, collator, loss, metrics."""
