"""What lasts longer than a decision: sockets and long answers, which end when their credential does."""
