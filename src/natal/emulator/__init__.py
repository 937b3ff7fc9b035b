"""The ensemble of networks that predicts mean summaries, its training and what it has to beat."""
