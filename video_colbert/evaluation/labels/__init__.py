"""What data sets say of their queries beside the text: graded judgements, and which source answers."""
