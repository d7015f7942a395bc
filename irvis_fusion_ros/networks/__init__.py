"""Networks and their layers, torch modules only; `systems` runs them and `training` trains them."""
