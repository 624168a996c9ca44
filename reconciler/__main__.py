"""Entry point. A wheel keeps the sibling packages inside `reconciler/_parts`, where no other program's imports can meet them."""

import sys
from pathlib import Path


def main() -> None:
    parts = Path(__file__).with_name("_parts")
    if parts.is_dir():
        sys.path.insert(0, str(parts))
    from reconciler import cli  # noqa: PLC0415 - the path has to be set first

    cli.main()


if __name__ == "__main__":
    main()
