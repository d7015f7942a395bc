"""Registration and fusion systems, one file each; `registry` maps preset names to them."""
