"""`python -m mixvi` is `mixvi`, where the folder of scripts is not on the path."""

from mixvi.cli import app

if __name__ == "__main__":
    app(prog_name="mixvi")
