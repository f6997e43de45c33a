"""moto's server as a program that ends with its standard input, so that it outlives no test."""

import os
import runpy
import sys
from threading import Thread


def _end_with_the_input() -> None:
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    Thread(target=_end_with_the_input, daemon=True).start()
    runpy.run_module("moto.server", run_name="__main__", alter_sys=True)
