"""A Jupyter notebook whose kernel this process is."""

import sys
from collections.abc import Callable


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return hasattr(shell, "kernel")


def changing_line() -> Callable[[str], None]:
    """Show a line below the cell that is running; each call of the result puts another text in its place."""
    from IPython.display import display

    line = display({"text/plain": ""}, raw=True, display_id=True)
    assert line is not None, "there is a handle for a display with an id"
    return lambda text: line.update({"text/plain": text}, raw=True)
