"""The lowest versions that setup.cfg allows, as a file of constraints for pip.

    python tools/lower_bounds.py > lowest.txt
    pip install -c lowest.txt 'tfdistill.whl[audit,huggingface,search]'

`tools/smoke.py` then shows that every command works with them.
"""

import configparser
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
#: Those that commands use.
EXTRAS = ("audit", "huggingface", "search")
#: What our requirements ask for, and do not say which: the newest do not go with them.
COMPANIONS = {
    # Later ones need NumPy 2.
    "pyarrow": "21.0.0",
    # Later ones are generated for a protobuf that TensorFlow before 2.20 refuses.
    "tensorflow-metadata": "1.17.0",
}


def lowest() -> dict[str, str]:
    """The lowest version of each requirement of setup.cfg, and of each companion."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    lines = setup["options"]["install_requires"].strip().splitlines()
    for extra in EXTRAS:
        lines += setup["options.extras_require"][extra].strip().splitlines()
    found = {}
    for line in lines:
        if not line.startswith("#"):
            name, version = re.fullmatch(r"([\w-]+)>=([\d.]+)", line).groups()
            found[name] = version
    return {**found, **COMPANIONS}


if __name__ == "__main__":
    for name, version in lowest().items():
        print(f"{name}=={version}")
