"""How fast the clients are, ours, the official ones and the bare libraries, on a null service.

``python -m benchmarks`` measures that; ``python -m benchmarks.chaos`` counts what they lose while
everything fails around them.
"""
