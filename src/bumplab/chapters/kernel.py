"""The kernel that a chapter is re-run in."""

from __future__ import annotations

import zmq
from ipykernel.kernelspec import get_kernel_dict
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from traitlets import default


class ChapterKernel(AsyncKernelManager):
    """A kernel of the Python that runs now, whichever kernels are installed under whatever names.

    A notebook names its kernel, such as ``python3``; on a computer with several environments that may be another
    Python, without this package, or none at all. Files of the folder in which it works are no modules: one that is
    called yaml.py would be taken for the library. What is sent to and from the kernel is encrypted where both sides
    can (jupyter_client 8.10): from ipykernel 7.4 on, a kernel warns at every start of what others on the computer can
    read.

    Examples
    --------
    >>> import sys
    >>> ChapterKernel(kernel_name="of-somebody-else").kernel_spec.argv[0] == sys.executable
    True
    """

    @property
    def kernel_spec(self) -> KernelSpec:
        """The command that starts the kernel."""
        inline = {"MPLBACKEND": "module://matplotlib_inline.backend_inline"}  # others lose every figure, in silence
        return KernelSpec(**get_kernel_dict(["--InteractiveShellApp.ignore_cwd=True"]), env=inline)

    @default("transport_encryption")
    def _encryption(self) -> str:
        return "auto" if zmq.has("curve") else "disabled"

    async def _async_interrupt_kernel(self) -> None:
        """Interrupt what runs, but not a kernel that is told to end: one that has nothing to do would say so."""
        if not self.shutting_down:
            await super()._async_interrupt_kernel()
