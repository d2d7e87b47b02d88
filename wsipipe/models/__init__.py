"""Networks, their settings and their weights: the one place where files become tensors.

Enters: cards and safetensors. Leaves: torch modules, built when asked for.
Next rooms: `wsipipe.lesion`, `wsipipe.graph`.
"""
