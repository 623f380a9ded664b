"""Executes the notebooks of this folder in fresh kernels and stores what they show: `python notebooks/execute.py`.

With ``--into DIR`` the executed notebooks go there, and those here stay as they are. Some need real data, in a folder
that the environment variable TENSORLITE_DATA names, or in ``../shared/data`` beside the repository: where theirs are
absent they are left out.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from traitlets.config import Config

HERE = Path(__file__).resolve().parent
#: Where the data are, and which of its folders a notebook needs.
DATA = Path(os.environ.get("TENSORLITE_DATA", HERE.parents[1] / "shared/data")).resolve()
NEEDS = {"03_transfer.ipynb": "cifar10", "04_gpt.ipynb": "tinyshakespeare", "05_dcgan.ipynb": "fashion-mnist"}


def missing(name: str) -> Path | None:
    """The folder of data that a notebook needs and that is not there."""
    folder = DATA / NEEDS.get(name, ".")
    return folder if name in NEEDS and not folder.is_dir() else None


def execute(path: Path, folder: str) -> nbformat.NotebookNode:
    """Runs a notebook from top to bottom in an empty folder; raises where a cell fails."""
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    config = Config({"KernelManager": {"transport": "ipc", "ip": os.path.join(folder, "kernel")}})
    NotebookClient(notebook, timeout=900, kernel_name="python3", config=config, record_timing=False,
                   coalesce_streams=True, resources={"metadata": {"path": folder}}).execute()
    notebook.metadata = {"kernelspec": notebook.metadata["kernelspec"], "language_info": {"name": "python"}}
    return notebook


def main() -> int:
    """Executes every notebook; returns 1 where a cell failed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--into", metavar="DIR", type=Path, default=HERE)
    parser.add_argument("names", metavar="NAME", nargs="*", help="notebooks to execute, such as 02_winograd (all)")
    options = parser.parse_args()
    os.environ.pop("MPLBACKEND", None)
    os.environ["TENSORLITE_DATA"] = str(DATA)
    for path in sorted(HERE.glob("*.ipynb")):
        if options.names and path.stem not in options.names:
            continue
        if folder_missing := missing(path.name):
            print(f"{path.name}: left out, for {folder_missing} is not there", file=sys.stderr)
            continue
        with tempfile.TemporaryDirectory(prefix="nb-") as folder:
            for name in ("JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR"):
                os.environ[name] = folder
            try:
                notebook = execute(path, folder)
            except CellExecutionError as error:
                print(f"{path.name}: {error}", file=sys.stderr)
                return 1
        nbformat.write(notebook, options.into / path.name)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
