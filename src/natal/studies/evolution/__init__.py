"""Evolution in time: the law of one cluster's summaries at (Q0, a, t), and births recovered without knowing the age."""
