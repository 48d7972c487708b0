"""How fast the clients are: ours, the official ones and the bare libraries, on a null service."""
