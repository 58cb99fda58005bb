"""``python -m tomoalign_core``."""

from tomoalign_core.cli import main

if __name__ == "__main__":
    main()
