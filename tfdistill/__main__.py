"""`python -m tfdistill` is `tfdistill`."""

from tfdistill.cli.main import run

if __name__ == "__main__":
    run()
