"""`python -m gateway` is `onshi`."""

from gateway.cli import main

main()
