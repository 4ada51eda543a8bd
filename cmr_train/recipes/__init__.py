"""The four jobs, each read from top to bottom: pretext, finetune, evaluate, predict. Nothing is printed here."""
