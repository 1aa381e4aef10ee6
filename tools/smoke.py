"""Runs every command at a tiny size, with the tfdistill that is installed.

    pip install dist/tfdistill-*.whl && python tools/smoke.py

For a wheel, in an environment of its own: the checkout is not used. It ends at the
first command that fails, or that does not write what it should.
"""

import os
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_TINY = ("--student=linear", "--outer_steps=3", "--num_students=2")
#: Commands, and a file that each leaves.
COMMANDS = [
    ("distill", *_TINY, "--updates=3", "--workdir=run", "run/metrics.json"),
    (
        *("distill", "--method=unrolled", *_TINY, "--steps=2", "--soft_labels"),
        *("--workdir=steps", "steps/student/1/saved_model.pb"),
    ),
    (
        *("distill", "--method=windows", *_TINY, "--epochs=2", "--updates=3"),
        *("--workdir=windows", "windows/images"),
    ),
    (
        *("distill", "--method=teaching", *_TINY[1:], "--student=mlp", "--steps=2"),
        *("--generator=gtn_generator@8-8-4", "--workdir=gtn", "gtn/images"),
    ),
    (
        *("pretrain", "--student=linear", "--num_students=2", "--held_out=1"),
        *("--epochs=1", "--workdir=pool", "pool/pool.json"),
    ),
    (
        *("distill", "--initial_weights=pretrained", "--pool=pool", "--steps=2"),
        *("--outer_steps=2", "--num_students=1", "--workdir=adapted"),
        "adapted/distilled/tfdistill.json",
    ),
    (
        *("baseline", "--kind=k_means", "--student=linear", "--num_students=2"),
        *("--workdir=means", "means/metrics.json"),
    ),
    (
        *("evaluate", "--workdir=run", "--student=mlp", "--num_students=2"),
        "run/metrics-mlp.json",
    ),
    (
        *("compare", "--sets=run,steps", "--architectures=linear", "--networks=2"),
        *("--updates=3", "--rates=0.01", "--baselines=none", "--teacher_epochs=1"),
        *("--attack_images=10", "--workdir=judged", "judged/comparison.json"),
    ),
    (
        *("search", "--distilled=run", "--candidates=2", "--passes=1"),
        *("--retrain_epochs=1", "--workdir=search", "search/metrics.json"),
    ),
    (
        *("audit", "--student=linear", "--rounds=1", "--outer_steps=2"),
        *("--workdir=audit", "audit/audit.csv"),
    ),
    ("export", "--workdir=steps", "--output=steps.npz", "steps.npz"),
    ("export", "--workdir=steps", "--output=steps.parquet", "steps.parquet"),
    ("export", "--workdir=steps", "--output=steps.tflite", "steps.tflite"),
    ("report", "--workdir=run,steps,means", "--output=report.html", "report.html"),
    ("distilled", "."),
]


def main():
    """Runs `COMMANDS`."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        program = "import tfdistill; print(tfdistill.__file__)"

        def python(*arguments, **options):
            return subprocess.run(
                [sys.executable, *arguments], cwd=folder, env=environment, **options
            )

        where = python("-c", program, check=True, capture_output=True, text=True).stdout
        if os.path.commonpath([ROOT, where]) == ROOT and "site-packages" not in where:
            sys.exit(f"tfdistill is that of the checkout, not installed: {where}")
        for *arguments, result in COMMANDS:
            print("+ tfdistill", *arguments, flush=True)
            if python("-m", "tfdistill", *arguments).returncode:
                sys.exit("It failed.")
            if not os.path.exists(os.path.join(folder, result)):
                sys.exit(f"It wrote no {result}.")
    print(f"{len(COMMANDS)} commands work.")


if __name__ == "__main__":
    main()
