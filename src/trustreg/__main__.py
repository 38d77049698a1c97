"""``python -m trustreg``."""

from trustreg.cli.entry import main

main()
